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
from model_build.graphs.quantize import WEIGHT_MAX, column_scales, quantize_rows
from slipway.network import Network, open_session
from tests.model_build.conftest import PAD, WORDS, initializers, random_rows

INT8 = ["int8", "fixed"]
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
    rows, fixed = operators(bert_graphs["int8"]), operators(bert_graphs["fixed"])
    assert rows["MatMulIntegerToFloat"] == fixed["MatMulIntegerToFloat"] == 8
    assert (rows["ReduceMax"], fixed["ReduceMax"]) == (8, 4)
    assert rows["Add"] - fixed["Add"] == 4


def linear_after_a_norm(*tail: onnx.NodeProto, weight: Floats, bias: Floats) -> onnx.ModelProto:
    """``LayerNormalization(input_ids) @ weight`` as ``product``, and what follows it to ``logits``."""
    width, out = weight.shape
    constants = {"weight": weight, "bias": bias, "ones": np.ones(width, np.float32)}
    constants["one"] = np.full(1, 2, np.float32)
    nodes = [
        helper.make_node("LayerNormalization", ["input_ids", "ones"], ["x"]),
        helper.make_node("MatMul", ["x", "weight"], ["product"]),
        *tail,
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("input_ids", TensorProto.FLOAT, ["rows", width])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", out])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid(name, version) for name, version in OPSETS.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


TAILS = {
    "a bias": [helper.make_node("Add", ["product", "bias"], ["logits"])],
    "a bias on the left": [helper.make_node("Add", ["bias", "product"], ["logits"])],
    "nothing that is added": [helper.make_node("Relu", ["product"], ["logits"])],
    "a constant of a common name": [helper.make_node("Mul", ["product", "one"], ["logits"])],
    "itself": [helper.make_node("Add", ["product", "product"], ["logits"])],
    "a bias, and another use": [
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        helper.make_node("Mul", ["sum", "product"], ["logits"]),
    ],
}


@pytest.mark.parametrize("tail", TAILS)
def test_a_fixed_scale_whatever_follows_the_product(tmp_path: Path, tail: str) -> None:
    numbers = np.random.default_rng(3)
    weight, bias = numbers.normal(size=(64, 10)).astype(np.float32), numbers.normal(size=10).astype(np.float32)
    inputs = (numbers.normal(size=(200, 64)) + 5 * np.arange(64) / 64).astype(np.float32)  # channels with a middle
    model = linear_after_a_norm(*TAILS[tail], weight=weight, bias=bias)
    fixed = quantize_rows(model, observe(model, [inputs]), fixed=True)
    answers = []
    for name, graph in (("fp32", model), ("int8", fixed)):
        save(graph, tmp_path / f"{name}.onnx")
        answers.append(open_session(tmp_path / f"{name}.onnx").run(["logits"], {"input_ids": inputs})[0])
    assert np.abs(answers[0] - answers[1]).max() < 0.03 * np.ptp(answers[0])


def test_a_row_beyond_what_was_observed_is_cut_and_disturbs_no_other(tmp_path: Path) -> None:
    numbers = np.random.default_rng(5)
    weight, bias = numbers.normal(size=(64, 10)).astype(np.float32), np.zeros(10, np.float32)
    inputs = numbers.normal(size=(50, 64)).astype(np.float32)
    model = linear_after_a_norm(*TAILS["a bias"], weight=weight, bias=bias)
    save(quantize_rows(model, observe(model, [inputs]), fixed=True), tmp_path / "fixed.onnx")
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


def product_after(operator: str, tmp_path: Path, inputs: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """``operator(inputs) @ weight`` in fp32 and in int8."""
    domain = MICROSOFT if operator in ("Gelu", "FastGelu") else ""
    width, out = weight.shape
    model = helper.make_model(
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
