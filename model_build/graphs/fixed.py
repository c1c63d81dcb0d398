"""What of a float32 graph can have scales that are fixed when it becomes int8, and what then need not be computed.

A product with a fixed scale adds a bias by itself, so the Add after it goes. A normalization whose output is quantized
subtracts the middle of each channel by itself, if the one residual that reads it too gets the middle back from such a
bias.
"""

from collections.abc import Collection
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

# What has one scale for all rows; the other products' inputs have one of their own a row.
Fixed = Literal["nothing", "normalized", "everything"]


class GraphView:
    """A graph, asked by the names of its values."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.outputs = {value.name for value in model.graph.output}
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._producers: dict[str, str] = {output: node.op_type for node in self.nodes for output in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def producer(self, name: str) -> str:
        """The operator that gives a value; empty for constants and inputs."""
        return self._producers.get(name, "")

    def readers(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that read a value, once for each time they do."""
        return self._readers.get(name, [])

    def array(self, name: str) -> npt.NDArray[np.float32]:
        """The numbers of a constant."""
        numbers: npt.NDArray[np.float32] = numpy_helper.to_array(self.constants[name])
        return numbers

    def is_matrix(self, name: str) -> bool:
        """Whether a value is a constant matrix of floats."""
        return self._has_dimensions(name, 2)

    def is_vector(self, name: str) -> bool:
        """Whether a value is a constant vector of floats."""
        return self._has_dimensions(name, 1)

    def is_product(self, node: onnx.NodeProto) -> bool:
        """Whether a node multiplies something with a constant matrix."""
        return node.op_type == "MatMul" and self.is_matrix(node.input[1])

    def is_lookup(self, node: onnx.NodeProto, rows: int) -> bool:
        """Whether a node takes rows of a constant matrix that has at least so many."""
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        if node.op_type != "Gather" or axis != 0 or not self.is_matrix(node.input[0]):
            return False
        return bool(self.constants[node.input[0]].dims[0] >= rows)

    def is_normalized(self, name: str) -> bool:
        """Whether a value is what a normalization gives."""
        return self.producer(name) == "LayerNormalization"

    def _has_dimensions(self, name: str, count: int) -> bool:
        tensor = self.constants.get(name)
        return tensor is not None and tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == count


class FixedScales:
    """Which products' inputs have a fixed scale; products with the weights in ``keep`` stay in float32.

    ``sums`` has of a product the bias that alone is added to it, and the sum's name: the product gives the sum itself.
    ``centred`` has of a normalization that subtracts the middles itself the sum that gives them back to the residual.
    """

    def __init__(self, graph: GraphView, keep: Collection[str], fixed: Fixed) -> None:
        self._graph = graph
        self._keep = set(keep)
        self._fixed = fixed
        self._bounded = self._after_normalizations()
        self.sums = self._find_sums()
        self.centred = self._find_centred()

    def is_integer_product(self, node: onnx.NodeProto) -> bool:
        """Whether a node becomes a product of integers."""
        return self._graph.is_product(node) and node.input[1] not in self._keep

    def is_fixed(self, x: str) -> bool:
        """Whether a product's input has one scale for all rows."""
        return self.is_centred_by_channel(x) or (self._fixed == "everything" and x in self._bounded)

    def is_centred_by_channel(self, x: str) -> bool:
        """Whether the middle of each channel is subtracted before that scale is applied."""
        return self._fixed != "nothing" and self._graph.is_normalized(x)

    def _after_normalizations(self) -> set[str]:
        """Values that are computed from normalized ones: the weights bound them, whatever the text."""
        found: set[str] = set()
        for node in self._graph.nodes:
            if node.op_type == "LayerNormalization" or not found.isdisjoint(node.input):
                found.update(node.output)
        return found

    def _find_sums(self) -> dict[str, tuple[str, str]]:
        found = {}
        for node in filter(self.is_integer_product, self._graph.nodes):
            out = node.output[0]
            readers = self._graph.readers(out)
            if not self.is_fixed(node.input[0]) or out in self._graph.outputs or len(readers) != 1:
                continue
            (reader,) = readers
            bias = next((name for name in reader.input if name != out), "")
            if reader.op_type == "Add" and self._graph.is_vector(bias):
                found[out] = bias, reader.output[0]
        return found

    def _find_centred(self) -> dict[str, str]:
        sums = {total for _, total in self.sums.values() if len(self._graph.readers(total)) == 1} - self._graph.outputs
        found = {}
        for node in self._graph.nodes:
            x, readers = node.output[0], self._graph.readers(node.output[0])
            others = [reader for reader in readers if not self.is_integer_product(reader)]
            if not self.is_centred_by_channel(x) or x in self._graph.outputs or len(others) == len(readers):
                continue
            if [reader.op_type for reader in others] == ["Add"] and len(node.input) == 3:
                total = next((name for name in others[0].input if name != x), "")
                if total in sums and self._graph.is_vector(node.input[2]):
                    found[x] = total
        return found
