"""int8: 7-bit weights, a scale for each row, nothing that a batch could change; fp16 beside it."""

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from model_build.graphs.calibrate import observe
from model_build.graphs.encoder import IR_VERSION, MICROSOFT, OPSETS
from model_build.graphs.export import save
from model_build.graphs.fixed import Fixed
from model_build.graphs.quantize import WEIGHT_MAX, column_scales, quantize_rows
from slipway.network import Network, open_session
from tests.model_build.conftest import PAD, WORDS, initializers, random_rows

INT8 = ["int8", "normalized", "everything"]
LENGTHS = [2, 3, 9, 9, 31, 60]
Floats = npt.NDArray[np.float32]


@pytest.fixture(params=["bert", "distilbert"])
def graphs(request: pytest.FixtureRequest) -> dict[str, Path]:
    """The variants of one network, written directly and through the exporter."""
    found: dict[str, Path] = request.getfixturevalue(f"{request.param}_graphs")
    return found


def products(path: Path) -> list[onnx.NodeProto]:
    return [node for node in onnx.load(path).graph.node if node.op_type == "MatMulIntegerToFloat"]


@pytest.mark.parametrize("int8", INT8)
def test_no_product_can_saturate_on_avx2(graphs: dict[str, Path], int8: str) -> None:
    """VPMADDUBSW adds two products of U8 and S8 in 16 bits; whatever is above 32,767 is lost."""
    constants = dict(initializers(graphs[int8]))
    found = products(graphs[int8])
    assert found
    for node in found:
        weight = constants[node.input[1]]
        assert weight.dtype == np.int8
        assert np.abs(weight.astype(int)).max() <= WEIGHT_MAX
        assert not constants[node.input[5]].any()  # symmetric: a zero point would widen the range again
    assert 2 * 255 * WEIGHT_MAX < 2**15


def test_no_large_matrix_stays_in_floats(graphs: dict[str, Path]) -> None:
    large = [name for name, value in initializers(graphs["int8"]) if value.dtype == np.float32 and value.size > 3_000]
    assert large == []


def test_the_table_of_words_is_int8_with_a_scale_a_word(graphs: dict[str, Path]) -> None:
    shapes = {(value.dtype.name, value.shape) for _, value in initializers(graphs["int8"])}
    assert ("int8", (WORDS, 32)) in shapes
    assert ("float32", (WORDS, 1)) in shapes


@pytest.mark.parametrize("int8", INT8)
def test_nothing_is_kept_that_no_node_reads(graphs: dict[str, Path], int8: str) -> None:
    read = {name for each in onnx.load(graphs[int8]).graph.node for name in each.input}
    assert [name for name, _ in initializers(graphs[int8]) if name not in read] == []


def test_int8_is_much_smaller(graphs: dict[str, Path]) -> None:
    sizes = {variant: Path(f"{path}.data").stat().st_size for variant, path in graphs.items()}
    assert sizes["int8"] < 0.45 * sizes["fp32"]  # tiny networks keep a larger share in floats than real ones
    assert sizes["fp16"] < 0.55 * sizes["fp32"]


@pytest.mark.parametrize("int8", INT8)
@given(lengths=st.lists(st.integers(1, 60), min_size=2, max_size=12), seed=st.integers(0, 999))
def test_an_answer_does_not_depend_on_the_batch(
    bert_graphs: dict[str, Path], int8: str, lengths: list[int], seed: int
) -> None:
    network = Network(bert_graphs[int8], pad_id=PAD)
    rows = random_rows(seed, lengths)
    alone, together = network.logits(rows, pack_tokens=1), network.logits(rows, pack_tokens=10**6)
    assert np.abs(alone - together).max() < 1e-5


@pytest.mark.parametrize("variant", INT8)
def test_int8_answers_are_near_those_of_fp32(graphs: dict[str, Path], variant: str) -> None:
    rows = random_rows(12, LENGTHS * 10)
    fp32, int8 = (Network(graphs[name], pad_id=PAD).logits(rows) for name in ("fp32", variant))
    assert np.abs(fp32 - int8).max() < 0.1 * np.ptp(fp32)
    assert (fp32.argmax(1) == int8.argmax(1)).mean() > 0.9


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_a_fixed_scale_costs_no_maximum_and_no_sum(bert_graphs: dict[str, Path]) -> None:
    """Of the 8 products of 2 layers, 4 follow a normalization, two a layer."""
    found = [operators(bert_graphs[name]) for name in INT8]
    assert [each["MatMulIntegerToFloat"] for each in found] == [8, 8, 8]
    assert [each["ReduceMax"] for each in found] == [8, 4, 0]
    assert [each["Add"] - found[-1]["Add"] for each in found] == [8, 4, 0]
    assert [each["Sub"] for each in found] == [0, 4, 0]  # a normalization subtracts the middles itself
    assert [each["Gelu"] for each in found] == [2, 2, 0]


def after_a_norm(
    *tail: onnx.NodeProto, weight: Floats, bias: Floats, outer: Floats | None = None, shift: bool = True
) -> onnx.ModelProto:
    """``LayerNormalization(input_ids)`` as ``x``, and what follows it to ``logits``; ``shift``: with a bias.

    ``outer`` is a second matrix, by default equal to the first.
    """
    width, out = weight.shape
    constants = {"weight": weight, "bias": bias, "ones": np.ones(width, np.float32), "two": np.full(1, 2, np.float32)}
    constants["outer"] = weight if outer is None else outer
    constants["shifts"] = np.linspace(-1, 4, width, dtype=np.float32)
    inputs = ["input_ids", "ones", "shifts"] if shift else ["input_ids", "ones"]
    graph = helper.make_graph(
        [helper.make_node("LayerNormalization", inputs, ["x"]), *tail],
        "linear",
        [helper.make_tensor_value_info("input_ids", TensorProto.FLOAT, ["rows", width])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", out])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid(name, version) for name, version in OPSETS.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def node(operator: str, inputs: str, output: str) -> onnx.NodeProto:
    domain = MICROSOFT if operator == "Gelu" else ""
    return helper.make_node(operator, inputs.split(), [output], domain=domain)


def gap(tmp_path: Path, model: onnx.ModelProto, int8: onnx.ModelProto, inputs: Floats) -> float:
    """The largest difference between the answers of both, as a share of what the answers span."""
    answers = []
    for name, graph in (("fp32", model), ("int8", int8)):
        save(graph, tmp_path / f"{name}.onnx")
        answers.append(open_session(tmp_path / f"{name}.onnx").run(["logits"], {"input_ids": inputs})[0])
    return float(np.abs(answers[0] - answers[1]).max() / np.ptp(answers[0]))


PRODUCT = node("MatMul", "x weight", "product")
SUM = node("Add", "product bias", "sum")
TAILS = {
    "a bias": [PRODUCT, node("Add", "product bias", "logits")],
    "a bias on the left": [PRODUCT, node("Add", "bias product", "logits")],
    "nothing that is added": [PRODUCT, node("Relu", "product", "logits")],
    "a constant of a common name": [PRODUCT, node("Mul", "product two", "logits")],
    "itself": [PRODUCT, node("Add", "product product", "logits")],
    "a bias, and another use": [PRODUCT, SUM, node("Mul", "sum product", "logits")],
    "a residual": [PRODUCT, SUM, node("Add", "sum x", "logits")],
    "a residual on the left": [PRODUCT, SUM, node("Add", "x sum", "logits")],
    "a residual without a bias": [PRODUCT, node("Add", "product x", "logits")],
    "a residual, and another use of x": [
        PRODUCT,
        SUM,
        node("Add", "sum x", "residual"),
        node("Mul", "residual x", "logits"),
    ],
    "a residual, and another use of the sum": [
        PRODUCT,
        SUM,
        node("Add", "sum x", "residual"),
        node("Mul", "residual sum", "logits"),
    ],
    "a residual of two products": [
        PRODUCT,
        SUM,
        node("Gelu", "sum", "active"),
        node("MatMul", "active outer", "second"),
        node("Add", "second bias", "second_sum"),
        node("Add", "second_sum x", "logits"),
    ],
}


@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("fixed", ["normalized", "everything"])
@pytest.mark.parametrize("tail", TAILS)
def test_a_fixed_scale_whatever_follows_the_product(tmp_path: Path, tail: str, fixed: Fixed, shift: bool) -> None:
    numbers = np.random.default_rng(3)
    weight, bias = numbers.normal(size=(64, 64)).astype(np.float32) / 8, numbers.normal(size=64).astype(np.float32)
    inputs = (numbers.normal(size=(200, 64)) + 5 * np.arange(64) / 64).astype(np.float32)  # channels with a middle
    model = after_a_norm(*TAILS[tail], weight=weight, bias=bias, shift=shift)
    int8 = quantize_rows(model, observe(model, [inputs]), fixed=fixed)
    assert gap(tmp_path, model, int8, inputs) < 0.03


def test_a_middle_goes_into_the_biases_only_where_one_residual_takes_it_back() -> None:
    found = []
    for tail in TAILS.values():
        model = after_a_norm(*tail, weight=np.eye(64, dtype=np.float32), bias=np.ones(64, np.float32))
        observed = observe(model, [np.random.default_rng(1).normal(size=(9, 64)).astype(np.float32)])
        int8 = quantize_rows(model, observed, fixed="everything")
        found.append("Sub" not in {each.op_type for each in int8.graph.node})
    shifted = [name for name, without in zip(TAILS, found, strict=True) if without]
    assert shifted == ["a residual", "a residual on the left", "a residual of two products"]


def test_a_channel_far_above_the_others_is_cut(tmp_path: Path) -> None:
    """One of 400 a hundred times the others would leave them two or three steps."""
    numbers = np.random.default_rng(9)
    weight, bias = numbers.normal(size=(400, 400)).astype(np.float32) / 20, np.zeros(400, np.float32)
    outer = weight.copy()
    outer[7] = 0  # what is lost is not asked for
    weight[:, 7] *= 100
    tail = [PRODUCT, SUM, node("Gelu", "sum", "active"), node("MatMul", "active outer", "logits")]
    model = after_a_norm(*tail, weight=weight, bias=bias, outer=outer, shift=False)
    inputs = numbers.normal(size=(50, 400)).astype(np.float32)
    int8 = quantize_rows(model, observe(model, [inputs]), fixed="everything")
    assert gap(tmp_path, model, int8, inputs) < 0.03


def test_normalizations_that_share_their_weights_have_their_own_middles(tmp_path: Path) -> None:
    """As ALBERT's layers do; what each subtracts is what its own residual gets back."""
    numbers = np.random.default_rng(3)
    weight, bias = numbers.normal(size=(64, 64)).astype(np.float32) / 8, numbers.normal(size=64).astype(np.float32)
    inputs = numbers.normal(size=(200, 64)).astype(np.float32)
    tail = [
        PRODUCT,
        SUM,
        node("Add", "sum x", "first"),
        node("LayerNormalization", "first ones shifts", "y"),
        node("MatMul", "y outer", "second"),
        node("Add", "second bias", "second_sum"),
        node("Add", "second_sum y", "logits"),
    ]
    model = after_a_norm(*tail, weight=weight, bias=bias, outer=np.flipud(weight).copy())
    int8 = quantize_rows(model, observe(model, [inputs]), fixed="everything")
    assert "Sub" not in {each.op_type for each in int8.graph.node}  # both subtract their middles themselves
    assert gap(tmp_path, model, int8, inputs) < 0.03


@pytest.mark.parametrize("fixed", ["nothing", "normalized", "everything"])
def test_a_matrix_that_two_products_share_is_rounded_for_each(tmp_path: Path, fixed: Fixed) -> None:
    """As ALBERT's layers do: what one's inputs are scaled by is not what the other's are."""
    numbers = np.random.default_rng(3)
    weight, bias = numbers.normal(size=(64, 64)).astype(np.float32) / 8, numbers.normal(size=64).astype(np.float32)
    inputs = numbers.normal(size=(200, 64)).astype(np.float32)
    tail = [PRODUCT, SUM, node("Gelu", "sum", "active"), node("MatMul", "active weight", "logits")]
    model = after_a_norm(*tail, weight=weight, bias=bias)
    assert gap(tmp_path, model, quantize_rows(model, observe(model, [inputs]), fixed=fixed), inputs) < 0.03


@pytest.mark.parametrize("operator", ["Tanh", "Relu"])
def test_what_no_normalization_bounds_has_a_scale_a_row(operator: str) -> None:
    """Texts beyond those of the calibration would be cut, however far."""
    model = one_product(operator, np.ones((64, 3), np.float32))
    int8 = quantize_rows(model, observe(model, [np.ones((5, 64), np.float32)]), fixed="everything")
    assert "ReduceMax" in {each.op_type for each in int8.graph.node}


def test_a_row_beyond_what_was_observed_is_cut_and_disturbs_no_other(tmp_path: Path) -> None:
    numbers = np.random.default_rng(5)
    weight, bias = numbers.normal(size=(64, 10)).astype(np.float32), np.zeros(10, np.float32)
    inputs = numbers.normal(size=(50, 64)).astype(np.float32)
    model = after_a_norm(*TAILS["a bias"], weight=weight, bias=bias, shift=False)
    save(quantize_rows(model, observe(model, [inputs]), fixed="normalized"), tmp_path / "fixed.onnx")
    session = open_session(tmp_path / "fixed.onnx")
    spike = np.zeros((1, 64), np.float32)
    spike[0, 7] = 1e6  # all of a normalized row's size in one channel: 8 where 4 was the largest
    alone, beside = (
        session.run(["logits"], {"input_ids": rows})[0] for rows in (inputs, np.concatenate([inputs, spike]))
    )
    assert np.array_equal(alone, beside[:-1])
    assert np.isfinite(beside).all()


def test_fp16_answers_are_within_a_hundredth(graphs: dict[str, Path]) -> None:
    rows = random_rows(13, LENGTHS)
    fp32, fp16 = (Network(graphs[variant], pad_id=PAD).logits(rows) for variant in ("fp32", "fp16"))
    assert np.abs(fp32 - fp16).max() < 1e-2
    assert {value.dtype.name for _, value in initializers(graphs["fp16"]) if value.size > 1_000} == {"float16"}


@given(st.integers(0, 2**32 - 1), st.sampled_from([63, 127]))
def test_a_columns_largest_weight_becomes_the_peak(seed: int, peak: int) -> None:
    weight = np.random.default_rng(seed).normal(size=(9, 5)).astype(np.float32)
    scales = column_scales(weight, peak)
    assert np.allclose(np.abs(weight / scales).max(axis=0), peak, rtol=1e-5)
    assert (column_scales(np.zeros((9, 5), np.float32), peak) > 0).all()


def one_product(operator: str, weight: Floats) -> onnx.ModelProto:
    """``operator(inputs) @ weight``."""
    domain = MICROSOFT if operator in ("Gelu", "FastGelu") else ""
    width, out = weight.shape
    return helper.make_model(
        helper.make_graph(
            [
                helper.make_node(operator, ["input_ids"], ["x"], domain=domain),
                helper.make_node("MatMul", ["x", "weight"], ["logits"]),
            ],
            "product",
            [helper.make_tensor_value_info("input_ids", TensorProto.FLOAT, ["rows", width])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", out])],
            [numpy_helper.from_array(weight, "weight")],
        ),
        opset_imports=[helper.make_opsetid(name, version) for name, version in OPSETS.items()],
        ir_version=IR_VERSION,
    )


def product_after(operator: str, tmp_path: Path, inputs: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """``operator(inputs) @ weight`` in fp32 and in int8."""
    model = one_product(operator, weight)
    answers = []
    for name, graph in (("fp32", model), ("int8", quantize_rows(model, observe(model, [inputs])))):
        save(graph, tmp_path / f"{name}.onnx")
        answers.append(open_session(tmp_path / f"{name}.onnx").run(["logits"], {"input_ids": inputs})[0])
    return answers[0], answers[1]


@pytest.mark.parametrize("operator", ["Gelu", "FastGelu", "Relu", "Tanh"])
@pytest.mark.parametrize("largest", [0.01, 1, 30, 1_000])
def test_a_row_of_any_size_keeps_eight_bits(tmp_path: Path, operator: str, largest: float) -> None:
    numbers = np.random.default_rng(4)
    inputs = (numbers.normal(size=(16, 64)) * largest).astype(np.float32)
    weight = numbers.normal(size=(64, 10)).astype(np.float32)
    fp32, int8 = product_after(operator, tmp_path, inputs, weight)
    peak = max(np.abs(inputs).max(), 1.19) if operator != "Tanh" else 1  # what 223 steps have to span at least
    error = np.abs(fp32 - int8)
    steps = (
        0.5 * peak / 127 * np.abs(weight).sum(0).max() + 0.5 * np.abs(weight).max() / 63 * np.abs(inputs).sum(1).max()
    )
    assert error.max() < steps


def test_the_dip_of_gelu_below_zero_is_held(tmp_path: Path) -> None:
    """A row that lies wholly at the minimum, -0.17, would be cut to zero by a range that starts there."""
    weight = np.ones((64, 1), np.float32)
    fp32, int8 = product_after("Gelu", tmp_path, np.full((1, 64), -0.75, np.float32), weight)
    assert np.allclose(fp32, int8, rtol=0.01)


def test_the_dip_beside_a_large_value_is_rounded_and_never_wraps(tmp_path: Path) -> None:
    row = np.r_[np.full(63, -0.75), 400.0].astype(np.float32)[None]
    fp32, int8 = product_after("Gelu", tmp_path, row, np.ones((64, 1), np.float32))
    assert np.abs(fp32 - int8).max() < 63 * 0.17 + 1  # one step is 1.8: all 63 may become 0


def test_a_row_of_zeros_is_survived(tmp_path: Path) -> None:
    weight = np.ones((64, 3), np.float32)
    for operator in ("Tanh", "Relu"):
        fp32, int8 = product_after(operator, tmp_path, np.zeros((2, 64), np.float32), weight)
        assert not fp32.any()
        assert np.allclose(int8, 0, atol=1e-6)


def test_rows_in_one_batch_have_their_own_scales(tmp_path: Path) -> None:
    numbers = np.random.default_rng(6)
    small = numbers.normal(size=(1, 64)).astype(np.float32) * 1e-3
    weight = numbers.normal(size=(64, 10)).astype(np.float32)
    together = np.concatenate([small, np.ones((1, 64), np.float32) * 3])
    fp32, int8 = product_after("Tanh", tmp_path, together, weight)
    assert np.abs(fp32[0] - int8[0]).max() < 0.05 * np.abs(fp32[0]).max()
