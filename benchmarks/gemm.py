"""Matrix products alone: one node, its right side a constant that onnxruntime packs once, as in a network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from benchmarks.operators import INTEGER_PRODUCTS
from slipway.network import Device

ROWS = (32, 128, 512)
_OPSET, _IR = 20, 10
_SEED = 13
_LARGEST_WEIGHT = 63  # of 7 bits
_LINKS = 16  # products of a chain: beside them, what a run costs by itself is nothing
_CHAINS = ((8_192, (8_192, 8_192)), (131_072, (384, 1_536)), (16_384, (384, 1_536)), (2_048, (384, 1_536)))
_SMALL_CHAINS = ((64, (64, 64)),)


@dataclass(frozen=True)
class Product:
    """``rows`` x ``shape[0]`` times ``shape[0]`` x ``shape[1]``; ``run`` does it once."""

    kind: str
    rows: int
    shape: tuple[int, int]
    run: Callable[[], object]

    @property
    def name(self) -> str:
        return f"{self.kind} {self.rows} x {self.shape[0]} x {self.shape[1]}"

    @property
    def operations(self) -> int:
        """A multiplication and an addition are two."""
        return 2 * self.rows * self.shape[0] * self.shape[1]


@dataclass(frozen=True)
class Chain:
    """Products on a device, one after the other; ``run`` does all of them once and waits for the last."""

    name: str
    operations: int
    run: Callable[[], object]


def chains(device: Device, *, small: bool = False) -> list[Chain]:
    """fp16 products of a large square and of the shapes of a feed-forward layer of 384; data stays on ``device``."""
    return [_chain(device, rows, widths) for rows, widths in (_SMALL_CHAINS if small else _CHAINS)]


def peak_sessions(graph: Path) -> list[Product]:
    """Products of the shapes that the integer products of ``graph`` have, in both precisions."""
    return [
        _product(kind, rows, shape) for kind in ("int8", "fp32") for shape in integer_shapes(graph) for rows in ROWS
    ]


def integer_shapes(graph: Path) -> list[tuple[int, int]]:
    """Of the weights of integer products, each once."""
    model = onnx.load(graph, load_external_data=False).graph
    weights = {tensor.name: (tensor.dims[0], tensor.dims[1]) for tensor in model.initializer if len(tensor.dims) == 2}
    return sorted({weights[node.input[1]] for node in model.node if node.op_type in INTEGER_PRODUCTS})


def _product(kind: str, rows: int, shape: tuple[int, int]) -> Product:
    random = np.random.default_rng(_SEED)
    if kind == "int8":
        weight = random.integers(-_LARGEST_WEIGHT, _LARGEST_WEIGHT + 1, shape, np.int8)
        left = random.integers(0, 256, (rows, shape[0]), np.uint8)
        node = helper.make_node("MatMulInteger", ["left", "weight"], ["out"])
        types = TensorProto.UINT8, TensorProto.INT32
    else:
        weight = random.standard_normal(shape, np.float32)
        left = random.standard_normal((rows, shape[0]), np.float32)
        node = helper.make_node("MatMul", ["left", "weight"], ["out"])
        types = TensorProto.FLOAT, TensorProto.FLOAT
    given = helper.make_tensor_value_info("left", types[0], ["rows", shape[0]])
    out = helper.make_tensor_value_info("out", types[1], ["rows", shape[1]])
    graph = helper.make_graph([node], kind, [given], [out], [numpy_helper.from_array(weight, "weight")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Product(kind, rows, shape, partial(session.run, None, {"left": left}))


def _chain(device: Device, rows: int, widths: tuple[int, int]) -> Chain:
    random = np.random.default_rng(_SEED)
    weights = [
        # What comes out is as large as what went in.
        numpy_helper.from_array((random.standard_normal(shape, np.float32) / shape[0] ** 0.5).astype(np.float16), name)
        for name, shape in {"there": widths, "back": widths[::-1]}.items()
    ]
    nodes = [
        helper.make_node("MatMul", [f"value{link}", ("there", "back")[link % 2]], [f"value{link + 1}"])
        for link in range(_LINKS)
    ]
    ends = [helper.make_tensor_value_info(f"value{n}", TensorProto.FLOAT16, [rows, widths[0]]) for n in (0, _LINKS)]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    session = ort.InferenceSession(model.SerializeToString(), providers=[(device.provider, dict(device.options))])
    left = random.standard_normal((rows, widths[0]), np.float32).astype(np.float16)
    place = "cuda" if device.name == "gpu" else "cpu"
    bound = session.io_binding()
    bound.bind_ortvalue_input("value0", ort.OrtValue.ortvalue_from_numpy(left, place, 0))
    bound.bind_output(f"value{_LINKS}", place, 0)
    name = f"{rows:,} rows, {widths[0]:,} and {widths[1]:,}"
    return Chain(name, 2 * _LINKS * rows * widths[0] * widths[1], partial(session.run_with_iobinding, bound))
