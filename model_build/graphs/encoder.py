"""The fast graph of a BERT-family encoder, built directly from its trained weights.

Exporters trace what Python did; this writes what the model computes. One int32 input of token ids; the mask follows
from the padding id; Q, K and V are one product with 1/sqrt(head size) folded into Q; each residual is Add +
LayerNormalization (onnxruntime's fused SkipLayerNormalization is slower on a CPU, docs/model-log.md).
``quantize.py`` turns it into int8.

Activations are (tokens, texts, hidden): the products of attention can then read Q, K and V where they lie, as batches
of heads, and one transposition of three numbers a token is saved in each layer (docs/model-log.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Weights = Mapping[str, npt.NDArray[np.float32]]

MICROSOFT = "com.microsoft"
OPSETS = {"": 20, MICROSOFT: 1}
IR_VERSION = 10
_MASKED = -1e4  # exp(-1e4) is 0 in float32 as in float16, which ends at 65,504
_ACTIVATIONS = {"gelu": "Gelu", "gelu_new": "FastGelu", "gelu_pytorch_tanh": "FastGelu", "relu": "Relu"}


@dataclass(frozen=True, kw_only=True)
class BertShape:
    """What the weights alone do not tell; ``head`` is the size of an attention head."""

    layers: int
    head: int
    hidden: int
    activation: str
    norm_epsilon: float
    pad_id: int


def supports(config: Any) -> bool:
    """Whether this builder can write the encoder of a transformers config; ``export.py`` takes the others."""
    absolute = getattr(config, "position_embedding_type", "absolute") == "absolute"
    return config.model_type == "bert" and config.hidden_act in _ACTIVATIONS and absolute and not config.is_decoder


def build_bert(weights: Weights, shape: BertShape, *, texts_first: bool = False) -> onnx.ModelProto:
    """The float32 classifier: ``input_ids`` int32 (texts, tokens) → ``logits`` float32 (texts, labels).

    ``weights`` has transformers' names of BertModel under ``encoder.`` and a linear head under ``head.``. With
    ``texts_first`` activations are (texts, tokens, hidden) inside, as the fused operators of GPUs want them.
    """
    graph = GraphBuilder(weights)
    mask = mask_tokens(graph, shape.pad_id)
    attend = _attend_texts_first if texts_first else _attend
    hidden = _embed(graph, shape, texts_first=texts_first)
    for layer in range(shape.layers):
        hidden = _layer(graph, shape, layer, hidden, mask, attend)
    pooled = mean_pool(graph, hidden, mask, texts_first=texts_first)
    graph.node("Gemm", [pooled, graph.weight("head.weight"), graph.weight("head.bias")], "logits", transB=1)
    return graph.model(labels=len(weights["head.bias"]))


class GraphBuilder:
    """Nodes and initializers of a graph in the making. Methods return the names of the values they add."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def node(self, op: str, inputs: list[str], output: str = "", *, domain: str = "", **attributes: Any) -> str:
        output = output or f"{op.lower()}_{len(self._nodes)}"
        return self.split(op, inputs, [output], domain=domain, **attributes)[0]

    def split(
        self, op: str, inputs: list[str], outputs: list[str], *, domain: str = "", **attributes: Any
    ) -> list[str]:
        """As ``node``, for an operator of several outputs."""
        self._nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], domain=domain, **attributes))
        return outputs

    def constant(self, name: str, value: Any, dtype: npt.DTypeLike = np.float32) -> str:
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value, dtype), name)
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def linear(self, name: str, x: str, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> str:
        """``x @ weight + bias``; ``weight`` has shape (in, out)."""
        product = self.node("MatMul", [x, self.constant(f"{name}.weight", weight)], f"{name}.product")
        return self.node("Add", [product, self.constant(f"{name}.bias", bias)], name)

    def norm(self, name: str, x: str, epsilon: float) -> str:
        """LayerNormalization over the last axis, with the weights called ``name``."""
        inputs = [x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        return self.node("LayerNormalization", inputs, name, axis=-1, epsilon=epsilon)

    def model(self, *, labels: int) -> onnx.ModelProto:
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["texts", "tokens"])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["texts", labels])
        graph = helper.make_graph(self._nodes, "classifier", [ids], [logits], list(self._constants.values()))
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="slipway")


@dataclass(frozen=True)
class Mask:
    """``keep`` (texts, tokens) is 1 for a token, 0 for padding; ``bias`` (texts, 1, 1, tokens) is added to scores."""

    keep: str
    bias: str


def mask_tokens(graph: GraphBuilder, pad_id: int) -> Mask:
    """Both masks of ``input_ids``."""
    padding = graph.node("Equal", ["input_ids", graph.constant("pad_id", pad_id, np.int32)])
    keep = graph.node("Cast", [graph.node("Not", [padding])], "keep", to=TensorProto.FLOAT)
    dropped = graph.node("Cast", [padding], to=TensorProto.FLOAT)
    bias = graph.node("Mul", [dropped, graph.constant("masked", _MASKED)])
    axes = graph.constant("axes_heads_queries", [1, 2], np.int64)
    return Mask(keep, graph.node("Unsqueeze", [bias, axes], "mask_bias"))


def _embed(graph: GraphBuilder, shape: BertShape, *, texts_first: bool) -> str:
    prefix = "encoder.embeddings."
    table = graph.weights
    fixed = table[prefix + "position_embeddings.weight"] + table[prefix + "token_type_embeddings.weight"][0]
    ids = "input_ids" if texts_first else graph.node("Transpose", ["input_ids"], perm=[1, 0])
    words = graph.node("Gather", [graph.weight(prefix + "word_embeddings.weight"), ids], "words")
    tokens = graph.node("Shape", ["input_ids"], start=1, end=2)
    first, axis = graph.constant("first", [0], np.int64), graph.constant("axis_rows", [0], np.int64)
    positions = graph.node("Slice", [graph.constant("positions.weight", fixed), first, tokens, axis], "positions")
    if not texts_first:
        positions = graph.node("Unsqueeze", [positions, graph.constant("axis_texts", [1], np.int64)])
    return graph.norm(prefix + "LayerNorm", graph.node("Add", [words, positions]), shape.norm_epsilon)


def _layer(graph: GraphBuilder, shape: BertShape, index: int, x: str, mask: Mask, attend: "_Attend") -> str:
    prefix = f"encoder.encoder.layer.{index}."
    attended = _attention(graph, shape, prefix + "attention.", x, mask, attend)
    x = graph.norm(prefix + "attention.output.LayerNorm", graph.node("Add", [attended, x]), shape.norm_epsilon)
    inner = graph.linear(prefix + "intermediate", x, *_dense(graph, prefix + "intermediate.dense"))
    operator = _ACTIVATIONS[shape.activation]
    active = graph.node(operator, [inner], domain="" if operator == "Relu" else MICROSOFT)
    outer = graph.linear(prefix + "output", active, *_dense(graph, prefix + "output.dense"))
    return graph.norm(prefix + "output.LayerNorm", graph.node("Add", [outer, x]), shape.norm_epsilon)


def _attention(graph: GraphBuilder, shape: BertShape, prefix: str, x: str, mask: Mask, attend: "_Attend") -> str:
    inner = len(graph.weights[prefix + "self.query.bias"])
    heads = inner // shape.head
    merged = graph.linear(prefix + "qkv", x, *_merged_qkv(graph, prefix + "self.", shape.head))
    by_head = graph.constant(f"by_head_{heads}", [0, 0, 3 * heads, shape.head], np.int64)
    mixed = attend(graph, prefix, graph.node("Reshape", [merged, by_head]), mask)
    together = graph.constant(f"together_{inner}", [0, 0, inner], np.int64)
    joined = graph.node("Reshape", [mixed, together])
    return graph.linear(prefix + "output", joined, *_dense(graph, prefix + "output.dense"))


_Attend = Callable[[GraphBuilder, str, str, Mask], str]


def _attend(graph: GraphBuilder, prefix: str, apart: str, mask: Mask) -> str:
    """(tokens, texts, 3 heads, head size) → (tokens, texts, heads, head size).

    ``transBatch`` takes the first dimension for that of the rows of a matrix, the next two for the batch.
    """
    q, k, v = graph.split("Split", [apart], [prefix + part for part in "qkv"], axis=2, num_outputs=3)
    scores = graph.node("FusedMatMul", [q, k], domain=MICROSOFT, transB=1, transBatchA=1, transBatchB=1)
    attention = graph.node("Softmax", [graph.node("Add", [scores, mask.bias])], axis=-1)
    mixed = graph.node("FusedMatMul", [attention, v], domain=MICROSOFT, transBatchB=1)
    return graph.node("Transpose", [mixed], perm=[2, 0, 1, 3])


def _attend_texts_first(graph: GraphBuilder, prefix: str, apart: str, mask: Mask) -> str:
    """As ``_attend``, of and to (texts, tokens, ...)."""
    by_head = graph.node("Transpose", [apart], perm=[0, 2, 1, 3])
    q, k, v = graph.split("Split", [by_head], [prefix + part for part in "qkv"], axis=1, num_outputs=3)
    scores = graph.node("FusedMatMul", [q, k], domain=MICROSOFT, transB=1)
    attention = graph.node("Softmax", [graph.node("Add", [scores, mask.bias])], axis=-1)
    return graph.node("Transpose", [graph.node("MatMul", [attention, v])], perm=[0, 2, 1, 3])


def _merged_qkv(graph: GraphBuilder, prefix: str, head: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    scale = np.float32(head**-0.5)
    parts = [_dense(graph, prefix + part) for part in ("query", "key", "value")]
    (q, q_bias), *others = parts
    weight = np.concatenate([q * scale, *(w for w, _ in others)], axis=1)
    bias = np.concatenate([q_bias * scale, *(b for _, b in others)])
    return weight, bias


def _dense(graph: GraphBuilder, name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weight (in, out) and bias of a torch linear layer."""
    return graph.weights[f"{name}.weight"].T, graph.weights[f"{name}.bias"]


def mean_pool(graph: GraphBuilder, hidden: str, mask: Mask, *, texts_first: bool = True) -> str:
    """(texts, tokens, hidden), or else (tokens, texts, hidden) → (texts, hidden), padding left out."""
    axis = graph.constant("axis_tokens", [1], np.int64)
    total = graph.node("ReduceSum", [mask.keep, axis], keepdims=1)
    share = graph.node("Unsqueeze", [graph.node("Div", [mask.keep, total]), axis])
    if texts_first:
        mean = graph.node("MatMul", [share, hidden])
    else:
        mean = graph.node("FusedMatMul", [share, hidden], domain=MICROSOFT, transBatchB=1)
    return graph.node("Squeeze", [mean, axis], "pooled")
