"""Fused for GPUs: the same answers, every layer, and nothing but what a pattern says."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from model_build.compression.prune import prune
from model_build.graphs.encoder import IR_VERSION
from model_build.graphs.export import save, to_onnx
from model_build.graphs.fuse import fuse_for_gpu, to_float16
from model_build.sections import NetworkConfig
from model_build.training.networks import EncoderClassifier, build_network
from slipway.encoding import TokenIds
from slipway.network import Network, pad
from tests.model_build.conftest import PAD, WORDS, make_network, random_rows

LENGTHS = [1, 2, 3, 7, 7, 31, 64]
PACKS = (1, 10_000)  # alone, and all in one padded batch
UNEQUAL = [{"heads": [0, 2, 3], "neurons": [*range(48)]}, {"heads": [1], "neurons": [*range(16, 32)]}]
FUSED = {"Attention": 2, "SkipLayerNormalization": 4, "BiasGelu": 2}  # two layers

Logits = npt.NDArray[np.float32]


def answers(model: onnx.ModelProto, tmp_path: Path, rows: Sequence[TokenIds], *, pad_id: int = PAD) -> list[Logits]:
    """Logits as serving gets them, for each of ``PACKS``."""
    save(model, tmp_path / "graph.onnx")
    network = Network(tmp_path / "graph.onnx", pad_id=pad_id)
    return [network.logits(rows, pack_tokens=tokens) for tokens in PACKS]


def gap(one: list[Logits], other: list[Logits]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def fused_in(model: onnx.ModelProto) -> dict[str, int]:
    return {operator: operators(model)[operator] for operator in FUSED}


def last(model: onnx.ModelProto, operator: str) -> onnx.NodeProto:
    """The last node of an operator: in the second of two layers, if layers have it."""
    found: onnx.NodeProto = [node for node in model.graph.node if node.op_type == operator][-1]
    return found


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def change(node: onnx.NodeProto, **changed: Any) -> None:
    kept = attributes(node) | changed
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(name, value) for name, value in kept.items())


@pytest.fixture
def model(bert: EncoderClassifier) -> onnx.ModelProto:
    """Two layers, to be changed."""
    return to_onnx(bert, texts_first=True)


@pytest.fixture(scope="session")
def halves(bert: EncoderClassifier, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """fp16 as the build makes it."""
    path = tmp_path_factory.mktemp("halves") / "model.fp16.onnx"
    save(to_float16(fuse_for_gpu(to_onnx(bert, texts_first=True))), path)
    return Network(path, pad_id=PAD)


@pytest.mark.parametrize(
    ("activation", "with_bias"), [("gelu", "BiasGelu"), ("gelu_new", "FastGelu"), ("relu", "Relu")]
)
@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 32, "num_attention_heads": 1, "num_hidden_layers": 1, "intermediate_size": 16},
        {"hidden_size": 48, "num_attention_heads": 6, "num_hidden_layers": 3, "intermediate_size": 100},
    ],
    ids=["1 head", "6 heads"],
)
def test_every_layer_is_fused_and_answers_stay(
    tmp_path: Path, activation: str, with_bias: str, sizes: dict[str, Any]
) -> None:
    model = to_onnx(make_network(hidden_act=activation, layer_norm_eps=1e-3, **sizes), texts_first=True)
    fused, layers = fuse_for_gpu(model), sizes["num_hidden_layers"]
    found = operators(fused)
    assert [found[name] for name in ("Attention", "SkipLayerNormalization", with_bias)] == [layers, 2 * layers, layers]
    assert (found["MatMul"], found["LayerNormalization"]) == (3 * layers + 1, 1)  # one more each: pooling, embeddings
    assert found["Add"] == 1 + layers * (activation == "relu")
    assert not {"Softmax", "Transpose", "Split", "FusedMatMul", "Reshape", "Gelu"} & set(found)
    rows = random_rows(2, LENGTHS)
    before = answers(model, tmp_path, rows)
    assert np.ptp(before[0], axis=0).min() > 0.01  # the texts differ, so that equal answers mean something
    assert gap(answers(fused, tmp_path, rows), before) < 1e-5


def test_layers_of_unequal_heads_and_neurons_are_fused(tmp_path: Path) -> None:
    network = make_network()
    prune(network, UNEQUAL)
    model = to_onnx(network, texts_first=True)
    fused = fuse_for_gpu(model)
    assert fused_in(fused) == FUSED
    attentions = [attributes(node) for node in fused.graph.node if node.op_type == "Attention"]
    assert [each["num_heads"] for each in attentions] == [3, 1]
    rows = random_rows(3, LENGTHS)
    assert gap(answers(fused, tmp_path, rows), answers(model, tmp_path, rows)) < 1e-5


def test_a_head_size_of_its_own_is_heeded(tmp_path: Path) -> None:
    """Heads of 4 and of 16: a scale put in twice, or left out, would show."""
    for heads in (8, 2):
        model = to_onnx(make_network(spread=0.5, num_attention_heads=heads), texts_first=True)
        rows = random_rows(8, LENGTHS)
        assert gap(answers(fuse_for_gpu(model), tmp_path, rows), answers(model, tmp_path, rows)) < 1e-5


def test_another_padding_id_is_heeded(tmp_path: Path) -> None:
    network = make_network()
    network.pad_id = 7
    model = to_onnx(network, texts_first=True)
    rows = [np.where(row == 7, 8, row).astype(np.int32) for row in random_rows(6, LENGTHS)]
    alone, together = answers(fuse_for_gpu(model), tmp_path, rows, pad_id=7)
    assert gap([alone, together], answers(model, tmp_path, rows, pad_id=7)) < 1e-5


@pytest.mark.parametrize("extra", [1, 30])
def test_more_padding_changes_nothing(model: onnx.ModelProto, tmp_path: Path, extra: int) -> None:
    save(fuse_for_gpu(model), tmp_path / "graph.onnx")
    session = ort.InferenceSession(str(tmp_path / "graph.onnx"), providers=["CPUExecutionProvider"])
    ids = pad(random_rows(4, [5, 30]), PAD)
    wider = np.pad(ids, [(0, 0), (0, extra)], constant_values=PAD)
    (narrow,), (wide,) = (session.run(["logits"], {"input_ids": each}) for each in (ids, wider))
    assert np.abs(narrow - wide).max() < 1e-5


def test_padding_in_the_middle_leaves_attention_in_parts(model: onnx.ModelProto, tmp_path: Path) -> None:
    """Attention would read the first tokens of such a text, however many; the rest of a layer is fused all the same."""
    rows = [np.insert(row, 1, PAD).astype(np.int32) for row in random_rows(6, [3, 9, 12])]
    found = fuse_for_gpu(model, inner_padding=True)
    assert fused_in(found)["Attention"] == 0
    assert fused_in(found)["SkipLayerNormalization"] == 4
    assert gap(answers(found, tmp_path, rows), answers(model, tmp_path, rows)) < 1e-5
    assert gap(answers(fuse_for_gpu(model), tmp_path, rows), answers(model, tmp_path, rows)) > 1e-3


def test_the_graph_is_valid_and_whole_and_has_nothing_left_over(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    fused = fuse_for_gpu(model)
    assert model.SerializeToString() == before
    onnx.checker.check_model(fused)
    graph = fused.graph
    names = [node.name for node in graph.node]
    assert len({*names}) == len(names)
    assert "" not in names
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    assert [node.name for node in graph.node if read.isdisjoint(node.output)] == []
    assert [tensor.name for tensor in graph.initializer if tensor.name not in read] == []
    assert fuse_for_gpu(fused) is fused


def exported() -> onnx.ModelProto:
    return to_onnx(make_network("distilbert"), texts_first=True)


def from_scratch(kind: Any) -> Callable[[], onnx.ModelProto]:
    config = NetworkConfig(kind=kind, width=16, hidden=16)
    return lambda: to_onnx(
        build_network(config, labels=3, vocabulary=WORDS, pad_id=PAD, seed=1).eval(), texts_first=True
    )


@pytest.mark.parametrize("make", [exported, from_scratch("lstm"), from_scratch("pooled")])
def test_a_graph_without_the_patterns_is_returned_as_it_is(make: Callable[[], onnx.ModelProto]) -> None:
    model = make()
    before = model.SerializeToString()
    assert fuse_for_gpu(model) is model
    assert model.SerializeToString() == before


def test_what_a_nested_graph_may_read_is_left_alone(model: onnx.ModelProto) -> None:
    probabilities = last(model, "Softmax").output[0]
    seen = helper.make_tensor_value_info("seen", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Identity", [probabilities], ["seen"])], "branch", [], [seen])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(helper.make_node("If", ["yes"], ["also"], then_branch=branch, else_branch=branch))
    model.graph.output.append(helper.make_tensor_value_info("also", TensorProto.FLOAT, None))
    assert fuse_for_gpu(model) is model


PREFIX = "encoder.encoder.layer.1."
ATTENTION, NORM, GELU = "Attention", "SkipLayerNormalization", "BiasGelu"


def inner_values(model: onnx.ModelProto) -> dict[str, str]:
    """Which fusion holds each value that is inside one of the second layer."""
    qkv = PREFIX + "attention.qkv"
    start = next(index for index, node in enumerate(model.graph.node) if node.name == f"{qkv}.product")
    end = next(index for index, node in enumerate(model.graph.node) if node.name == PREFIX + "attention.output.product")
    attention = [output for node in list(model.graph.node)[start : end - 1] for output in node.output]
    residuals = [node.input[0] for node in model.graph.node if node.name.startswith(PREFIX) and "Norm" in node.name]
    linear = [PREFIX + name for name in ("attention.output", "output")]
    norms = [*residuals, *linear, *(f"{name}.product" for name in linear)]
    gelu = [PREFIX + "intermediate", PREFIX + "intermediate.product"]
    return {name: op for op, names in ((ATTENTION, attention), (NORM, norms), (GELU, gelu)) for name in names}


@pytest.mark.parametrize("way", ["node", "output"])
def test_a_value_with_a_second_reader_is_not_fused_away(model: onnx.ModelProto, tmp_path: Path, way: str) -> None:
    values = inner_values(model)
    assert Counter(values.values()) == {ATTENTION: 12, NORM: 6, GELU: 2}
    rows = random_rows(5, LENGTHS)
    expected = answers(model, tmp_path, rows)
    for value, operator in values.items():
        shared = onnx.ModelProto()
        shared.CopyFrom(model)
        if way == "node":
            shared.graph.node.append(helper.make_node("Identity", [value], ["also"], name="also"))
        name = "also" if way == "node" else value
        shared.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        fused = fuse_for_gpu(shared)
        assert fused_in(fused) == FUSED | {operator: FUSED[operator] - 1}, value
        assert name in {output for node in fused.graph.node for output in node.output}
        assert gap(answers(fused, tmp_path, rows), expected) < 1e-5


def constant(model: onnx.ModelProto, name: str, value: npt.ArrayLike) -> None:
    """Another value for a constant, or a new one."""
    left = [tensor for tensor in model.graph.initializer if tensor.name != name]
    del model.graph.initializer[:]
    model.graph.initializer.extend([*left, numpy_helper.from_array(np.asarray(value), name)])


def before(model: onnx.ModelProto, node: onnx.NodeProto, operator: str, inputs: list[str]) -> str:
    """One more node right before another; its output."""
    name = f"{node.name}.more"
    made = helper.make_node(operator, inputs, [name], name=name)
    model.graph.node.insert(list(model.graph.node).index(node), made)
    return name


def weak_mask(model: onnx.ModelProto) -> None:
    constant(model, "masked", np.float32(-1))


def mask_of_queries(model: onnx.ModelProto) -> None:
    constant(model, "axes_heads_queries", np.array([1, 3]))


def mask_of_other_ids(model: onnx.ModelProto) -> None:
    equal = last(model, "Equal")
    equal.input[0] = before(model, equal, "Identity", ["input_ids"])


def mask_without_not(model: onnx.ModelProto) -> None:
    constant(model, "no", np.array(False))
    negation = last(model, "Not")
    negation.op_type = "Equal"
    negation.input.append("no")


def swapped_parts(model: onnx.ModelProto) -> None:
    _, k, v = last(model, "Split").output
    last(model, "FusedMatMul").input[1] = v
    next(node for node in model.graph.node if node.op_type == "MatMul" and v in node.input).input[1] = k


def other_softmax(model: onnx.ModelProto) -> None:
    change(last(model, "Softmax"), axis=-2)


def scaled_scores(model: onnx.ModelProto) -> None:
    change(last(model, "FusedMatMul"), alpha=0.5)


def heads_told_otherwise(model: onnx.ModelProto) -> None:
    constant(model, "otherwise", np.array([0, -1, 12, 8]))
    [*_, apart, _] = (node for node in model.graph.node if node.op_type == "Reshape")
    apart.input[1] = "otherwise"


def heads_computed(model: onnx.ModelProto) -> None:
    [*_, apart, _] = (node for node in model.graph.node if node.op_type == "Reshape")
    apart.input[1] = before(model, apart, "Identity", [apart.input[1]])


def tokens_cut_in_two(model: onnx.ModelProto) -> None:
    """Heads side by side are half as wide and twice as many; the next node undoes it."""
    constant(model, "half", np.array([0, -1, 16]))
    constant(model, "whole", np.array([0, -1, 32]))
    reshape = last(model, "Reshape")
    reshape.input[1] = "half"
    product = next(node for node in model.graph.node if reshape.output[0] in node.input)
    product.input[0] = before(model, product, "Reshape", [reshape.output[0], "whole"])


def broadcast_residual(model: onnx.ModelProto) -> None:
    """One for all texts, which Add allows and SkipLayerNormalization does not."""
    norm = last(model, "LayerNormalization")
    residual = next(node for node in model.graph.node if node.output[0] == norm.input[0])
    residual.input[1] = before(model, residual, "Add", ["positions", norm.input[2]])


def residual_of_means(model: onnx.ModelProto) -> None:
    """The second output of a normalization, one number a token."""
    [*_, skip, norm] = (node for node in model.graph.node if node.op_type == "LayerNormalization")
    skip.output.append("mean")
    next(node for node in model.graph.node if node.output[0] == norm.input[0]).input[1] = "mean"


def norm_without_bias(model: onnx.ModelProto) -> None:
    last(model, "LayerNormalization").input.pop()


def norm_of_one_factor(model: onnx.ModelProto) -> None:
    constant(model, PREFIX + "output.LayerNorm.weight", np.array([2], np.float32))


def norm_that_tells_the_mean(model: onnx.ModelProto) -> None:
    last(model, "LayerNormalization").output.append("mean")
    model.graph.output.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, None))


def norm_along_an_axis(model: onnx.ModelProto) -> None:
    change(last(model, "LayerNormalization"), axis=2)


def gelu_by_tanh(model: onnx.ModelProto) -> None:
    """ONNX's own operator, which has no domain and may say how."""
    node = last(model, "Gelu")
    node.domain = ""
    change(node, approximate="tanh")


def gelu_of_computed_weights(model: onnx.ModelProto) -> None:
    for node in list(model.graph.node):
        if node.name in (PREFIX + "intermediate", PREFIX + "intermediate.product"):
            node.input[1] = before(model, node, "Identity", [node.input[1]])


def gelu_with_bias(model: onnx.ModelProto) -> None:
    node = last(model, "Gelu")
    node.op_type = "FastGelu"
    node.input.append(PREFIX + "intermediate.bias")


def one_bias(name: str) -> Callable[[onnx.ModelProto], None]:
    return lambda model: constant(model, f"{PREFIX}{name}.bias", np.array([0.1], np.float32))


def one_column(name: str) -> Callable[[onnx.ModelProto], None]:
    """A product that is broadcast to the width of its bias."""

    def deviate(model: onnx.ModelProto) -> None:
        weight = next(tensor for tensor in model.graph.initializer if tensor.name == f"{PREFIX}{name}.weight")
        constant(model, weight.name, numpy_helper.to_array(weight)[:, :1])

    return deviate


@pytest.mark.parametrize(
    ("deviate", "left"),
    [
        *((each, {ATTENTION: 0}) for each in (weak_mask, mask_of_queries, mask_of_other_ids, mask_without_not)),
        *((each, {ATTENTION: 1}) for each in (swapped_parts, other_softmax, scaled_scores, tokens_cut_in_two)),
        *((each, {ATTENTION: 1}) for each in (heads_told_otherwise, heads_computed)),
        *((each("attention.qkv"), {ATTENTION: 1}) for each in (one_bias, one_column)),
        *((each, {NORM: 3}) for each in (broadcast_residual, norm_without_bias)),
        *((each, {NORM: 3}) for each in (norm_of_one_factor, norm_that_tells_the_mean, norm_along_an_axis)),
        (residual_of_means, {NORM: 2}),  # the one that tells its means is none, either
        *((each("output"), {NORM: 3}) for each in (one_bias, one_column)),
        *((each, {GELU: 1}) for each in (gelu_by_tanh, gelu_with_bias, gelu_of_computed_weights)),
        *((each("intermediate"), {GELU: 1}) for each in (one_bias, one_column)),
    ],
)
def test_what_differs_from_the_pattern_stays_and_answers_with_it(
    model: onnx.ModelProto, tmp_path: Path, deviate: Callable[[onnx.ModelProto], None], left: dict[str, int]
) -> None:
    deviate(model)
    fused = fuse_for_gpu(model)
    assert fused_in(fused) == FUSED | left
    rows = random_rows(7, LENGTHS)
    assert gap(answers(fused, tmp_path, rows), answers(model, tmp_path, rows)) < 1e-5


def test_a_graph_that_knew_no_operators_of_microsoft_gets_them(tmp_path: Path) -> None:
    ones = np.ones(8, np.float32)
    numbers = np.random.default_rng(3).normal(size=(8, 8)).astype(np.float32)
    constants = {"table": numbers, "weight": numbers, "ones": ones}
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("LayerNormalization", ["words", "ones", "ones"], ["skip"]),
        helper.make_node("MatMul", ["words", "weight"], ["product"]),
        helper.make_node("Add", ["product", "ones"], ["biased"]),
        helper.make_node("Add", ["biased", "skip"], ["residual"]),
        helper.make_node("LayerNormalization", ["residual", "ones", "ones"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "norms",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["texts", "tokens"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["texts", "tokens", 8])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=IR_VERSION)
    fused = fuse_for_gpu(model)
    onnx.checker.check_model(fused)
    assert fused_in(fused)[NORM] == 1
    rows = [np.arange(8, dtype=np.int32)] * 2
    assert gap(answers(fused, tmp_path, rows), answers(model, tmp_path, rows)) < 1e-5


def test_a_build_ships_it(tiny_artifact: Path) -> None:
    models = {variant: onnx.load(tiny_artifact / f"model.{variant}.onnx") for variant in ("fp16", "fp32")}
    assert fused_in(models["fp16"]) == FUSED
    assert not any(fused_in(models["fp32"]).values())


def test_fp16_of_the_fused_graph_is_near_fp32(model: onnx.ModelProto, tmp_path: Path) -> None:
    rows = random_rows(13, LENGTHS)
    halved = to_float16(fuse_for_gpu(model))
    assert fused_in(halved) == FUSED
    assert {tensor.data_type for tensor in halved.graph.initializer if len(tensor.dims) == 2} == {TensorProto.FLOAT16}
    assert gap(answers(halved, tmp_path, rows), answers(model, tmp_path, rows)) < 1e-2


@given(lengths=st.lists(st.integers(1, 60), min_size=2, max_size=12), seed=st.integers(0, 999))
def test_an_fp16_answer_does_not_depend_on_the_batch(halves: Network, lengths: list[int], seed: int) -> None:
    rows = random_rows(seed, lengths)
    alone, together = (halves.logits(rows, pack_tokens=tokens) for tokens in PACKS)
    assert np.abs(alone - together).max() < 1e-3  # float16 has steps of 5e-4 below 1
