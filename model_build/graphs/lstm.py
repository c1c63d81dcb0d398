"""The graph of an ``LstmClassifier``, built directly from its weights: exporters unroll or fix what must stay free."""

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from model_build.graphs.encoder import GraphBuilder, Mask, Weights, mask_tokens, mean_pool

_TORCH_GATES = "ifgo"  # input, forget, cell, output
_ONNX_ORDER = [_TORCH_GATES.index(gate) for gate in "iofg"]


def build_lstm(weights: Weights, *, layers: int, hidden: int, pad_id: int) -> onnx.ModelProto:
    """The float32 classifier: ``input_ids`` int32 (texts, tokens) → ``logits`` float32 (texts, labels).

    Each text's length is handed to the LSTM, so that the backward direction starts at its last token.
    """
    graph = GraphBuilder(weights)
    mask = mask_tokens(graph, pad_id)
    axis = graph.constant("axis_tokens", [1], np.int64)
    count = graph.node("ReduceSum", [mask.keep, axis], keepdims=0)
    lengths = graph.node("Cast", [count], "lengths", to=TensorProto.INT32)
    value = graph.node("Gather", [graph.weight("embedding.weight"), "input_ids"], "embedded")
    for layer in range(layers):
        value = _layer(graph, value, lengths, layer, hidden)
    features = graph.node("Concat", [mean_pool(graph, value, mask), _peak(graph, value, mask, axis)], axis=1)
    graph.node("Gemm", [features, graph.weight("head.weight"), graph.weight("head.bias")], "logits", transB=1)
    return graph.model(labels=len(weights["head.bias"]))


def _layer(graph: GraphBuilder, value: str, lengths: str, layer: int, hidden: int) -> str:
    """One bidirectional layer: (texts, tokens, in) → (texts, tokens, 2 * hidden)."""
    w, r, b = (graph.constant(f"lstm.{layer}.{name}", array) for name, array in _gates(graph.weights, layer).items())
    by_token = graph.node("Transpose", [value], perm=[1, 0, 2])
    (out,) = graph.split(
        "LSTM", [by_token, w, r, b, lengths], [f"lstm.{layer}"], hidden_size=hidden, direction="bidirectional"
    )
    by_text = graph.node("Transpose", [out], perm=[2, 0, 1, 3])  # from (tokens, directions, texts, hidden)
    joined = graph.constant("both_directions", [0, 0, 2 * hidden], np.int64)
    return graph.node("Reshape", [by_text, joined], f"lstm.{layer}.out")


def _gates(weights: Weights, layer: int) -> dict[str, npt.NDArray[np.float32]]:
    """W (2, 4 hidden, in), R (2, 4 hidden, hidden) and B (2, 8 hidden), directions first."""

    def both(name: str) -> npt.NDArray[np.float32]:
        return np.stack([_reorder(weights[f"lstm.{name}_l{layer}{suffix}"]) for suffix in ("", "_reverse")])

    return {"w": both("weight_ih"), "r": both("weight_hh"), "b": np.hstack([both("bias_ih"), both("bias_hh")])}


def _reorder(stacked: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    gates = np.split(stacked, 4)
    return np.concatenate([gates[index] for index in _ONNX_ORDER])


def _peak(graph: GraphBuilder, value: str, mask: Mask, axis: str) -> str:
    """The maximum over tokens; padding counts as -1, which an LSTM's outputs are above."""
    last = graph.constant("axis_last_2", [2], np.int64)
    keep = graph.node("Unsqueeze", [mask.keep, last])
    kept = graph.node("Mul", [value, keep])
    lowest = graph.node("Sub", [keep, graph.constant("one", 1.0)])
    return graph.node("ReduceMax", [graph.node("Add", [kept, lowest]), axis], "peak", keepdims=0)
