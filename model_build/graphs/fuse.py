"""Float32 graphs to float16 for GPUs: that of ``encoder.py`` in the fused operators that onnxruntime has for them.

A GPU waits for its memory wherever a node only adds, normalizes or moves numbers: fused, six layers take 44 to 78 % of
the time on an H100 (docs/model-log.md). On a CPU these operators are slower, so only what becomes float16 is fused.

Patterns are matched as ``encoder.py`` writes them, the order of inputs and the attributes included.
"""

from collections import Counter
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model_build.graphs.encoder import MICROSOFT

_Pattern = list[tuple[str, dict[str, Any]]]

# Each from its end to its beginning, along first inputs.
_LINEAR: _Pattern = [("Add", {}), ("MatMul", {})]
_HEADS: _Pattern = [("Transpose", {"perm": [0, 2, 1, 3]})]
_MIXED: _Pattern = [("MatMul", {}), ("Softmax", {"axis": -1}), ("Add", {}), ("FusedMatMul", {"transB": 1})]
_PARTS: _Pattern = [("Split", {"axis": 1, "num_outputs": 3}), *_HEADS, ("Reshape", {}), *_LINEAR]
_ATTENTION: _Pattern = [*_HEADS, *_MIXED, *_PARTS]
_MASK: _Pattern = [("Unsqueeze", {}), ("Mul", {}), ("Cast", {"to": TensorProto.FLOAT}), ("Equal", {})]
_MASKED = [-1e4]  # what the builder adds to the scores of padding, and Attention unless told otherwise
_BIASED = {"Gelu": "BiasGelu", "FastGelu": "FastGelu"}


def fuse_for_gpu(model: onnx.ModelProto, *, inner_padding: bool = False) -> onnx.ModelProto:
    """Fuse each layer's attention, its residuals with their normalizations, and the biases of GELUs.

    Attention is told how many tokens a text has, not which: it stays in parts if there may be ``inner_padding``, and
    not only at the right end of a row, where ``slipway.predictor.pad`` puts it. What differs from a pattern stays as it
    is; without any, ``model`` itself is returned.
    """
    if any(attribute.HasField("g") for node in model.graph.node for attribute in node.attribute):
        return model  # what only a nested graph reads would pass for unread
    fuser = _Fuser(model, inner_padding=inner_padding)
    for node in model.graph.node:
        fuser.rewrite(node)
    return fuser.finish()


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights and arithmetic in float16; token ids stay int32 and logits float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16  # imports sympy: seconds

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    halved: onnx.ModelProto = convert_float_to_float16(copied, keep_io_types=True)
    return halved


class _Fuser:
    def __init__(self, model: onnx.ModelProto, *, inner_padding: bool) -> None:
        self._model = model
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._producers = {node.output[0]: node for node in model.graph.node}
        self._readers = Counter(name for node in model.graph.node for name in node.input)
        self._readers.update(output.name for output in model.graph.output)
        self._tokens: dict[str, str] = {}  # by where padding is, where it is not
        self._nodes: list[onnx.NodeProto] = []
        self._fused = 0
        self._ends = {"LayerNormalization": self._norm} | ({} if inner_padding else {"Reshape": self._attention})
        self._ends |= dict.fromkeys(_BIASED, self._activation)

    def rewrite(self, node: onnx.NodeProto) -> None:
        """Put what ``node`` ends in its place, or itself. What it was computed from is left for ``finish`` to drop."""
        if node.op_type == "Not":
            self._tokens[node.input[0]] = node.output[0]
        fused = self._ends[node.op_type](node) if node.op_type in self._ends else None
        self._fused += fused is not None
        self._nodes.append(node if fused is None else fused)

    def finish(self) -> onnx.ModelProto:
        if not self._fused:
            return self._model
        old = self._model.graph
        nodes = _needed(self._nodes, {output.name for output in old.output})
        read = {name for node in nodes for name in node.input}
        constants = [tensor for name, tensor in self._constants.items() if name in read]
        opsets = {opset.domain: opset.version for opset in self._model.opset_import} | {MICROSOFT: 1}
        return helper.make_model(
            helper.make_graph(nodes, old.name, old.input, old.output, constants),
            opset_imports=[helper.make_opsetid(domain, version) for domain, version in opsets.items()],
            ir_version=self._model.ir_version,
            producer_name="slipway",
        )

    def _norm(self, last: onnx.NodeProto) -> onnx.NodeProto | None:
        """LayerNormalization(x @ W + bias + skip); ``skip`` is normalized too, so of full shape: none is broadcast."""
        chain, attributes = self._chain(last.input[0], [("Add", {}), *_LINEAR]), _attributes(last)
        if not chain or attributes.get("axis", -1) != -1 or (len(last.input), len(last.output)) != (3, 1):
            return None
        residual, add, product = chain
        skip = self._producers.get(residual.input[1])
        if skip is None or skip.op_type != "LayerNormalization" or not self._is_linear(add, product):
            return None
        if any(self._dims(name) != self._dims(add.input[1]) for name in last.input[1:]):
            return None
        inputs = [product.output[0], residual.input[1], *last.input[1:], add.input[1]]
        return _instead(last, "SkipLayerNormalization", inputs, epsilon=attributes.get("epsilon", 1e-5))

    def _activation(self, last: onnx.NodeProto) -> onnx.NodeProto | None:
        """GELU(x @ W + bias), exact or by tanh."""
        chain = self._chain(last.input[0], _LINEAR)
        if not chain or not self._is_linear(*chain) or len(last.input) > 1 or last.attribute:
            return None
        add, product = chain
        return _instead(last, _BIASED[last.op_type], [product.output[0], add.input[1]])

    def _attention(self, last: onnx.NodeProto) -> onnx.NodeProto | None:
        """From the product that gives Q, K and V to the heads side by side, (texts, tokens, heads * head size)."""
        chain = self._chain(last.input[0], _ATTENTION)
        if not chain or not self._is_linear(*chain[-2:]):
            return None
        _, mixed, _, masked, scores, split, _, apart, add, product = chain
        parts, bias = [*scores.input, mixed.input[1]], add.input[1]
        if parts != list(split.output) or any(self._readers[part] > 1 for part in parts):
            return None
        heads = self._heads(apart.input[1], last.input[1], bias)
        if not heads or not (lengths := self._lengths(masked.input[1])):
            return None
        inputs, sizes = [*product.input, bias, lengths], [self._dims(bias)[0] // 3] * 3
        # 1/sqrt(head size) is in the weights of Q; without a scale, which is 0, Attention would multiply it in again.
        return _instead(last, "Attention", inputs, num_heads=heads, scale=1.0, qkv_hidden_sizes=sizes)

    def _heads(self, apart: str, together: str, bias: str) -> int:
        """Number of heads into which ``apart`` parts Q, K and V, and which ``together`` joins; 0 if they do not."""
        shape = self._values(apart)
        if len(shape) != 4:
            return 0
        heads, head = shape[2] // 3, shape[3]
        found = [shape, self._values(together), self._dims(bias)]
        return heads if found == [[0, 0, 3 * heads, head], [0, 0, heads * head], [3 * heads * head]] else 0

    def _lengths(self, mask: str) -> str:
        """Name of the number of tokens of each text, int32 (texts,); empty if ``mask`` is not that of the builder."""
        chain = self._chain(mask, _MASK, shared=True)
        if not chain or chain[-1].input[0] != self._model.graph.input[0].name:
            return ""
        unsqueeze, scaled, _, padding = chain
        known = [self._values(node.input[1]) for node in (unsqueeze, scaled)]
        tokens = self._tokens.get(padding.output[0])
        if known != [[1, 2], _MASKED] or tokens is None:
            return ""
        lengths, ones, axis = (f"{tokens}.{name}" for name in ("lengths", "int32", "axis"))
        if axis not in self._constants:
            self._constants[axis] = numpy_helper.from_array(np.array([1], np.int64), axis)
            self._nodes.append(helper.make_node("Cast", [tokens], [ones], name=ones, to=TensorProto.INT32))
            self._nodes.append(helper.make_node("ReduceSum", [ones, axis], [lengths], name=lengths, keepdims=0))
        return lengths

    def _chain(self, value: str, pattern: _Pattern, *, shared: bool = False) -> list[onnx.NodeProto]:
        """The nodes of ``pattern`` behind ``value``; none if one differs or, unless ``shared``, has other readers."""
        found: list[onnx.NodeProto] = []
        for operator, attributes in pattern:
            node = self._producers.get(value)
            if node is None or (node.op_type, _attributes(node)) != (operator, attributes):
                return []
            if self._readers[value] > 1 and not shared:
                return []
            found.append(node)
            value = node.input[0]
        return found

    def _is_linear(self, add: onnx.NodeProto, product: onnx.NodeProto) -> bool:
        """Whether the product is with a constant matrix (in, out), and what is added a constant (out,)."""
        weight = self._dims(product.input[1])
        return len(weight) == 2 and self._dims(add.input[1]) == weight[1:]

    def _dims(self, name: str) -> list[int]:
        return list(self._constants[name].dims) if name in self._constants else []

    def _values(self, name: str) -> list[Any]:
        """The numbers of a small constant, whatever its shape; none of what is computed."""
        return numpy_helper.to_array(self._constants[name]).ravel().tolist() if name in self._constants else []


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _instead(last: onnx.NodeProto, operator: str, inputs: list[str], **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, last.output, name=last.output[0], domain=MICROSOFT, **attributes)


def _needed(nodes: list[onnx.NodeProto], names: set[str]) -> list[onnx.NodeProto]:
    """Of ``nodes``, those that the values called ``names`` are computed from."""
    kept: list[onnx.NodeProto] = []
    for node in reversed(nodes):
        if not names.isdisjoint(node.output):
            kept.append(node)
            names = names.union(node.input)
    return kept[::-1]
