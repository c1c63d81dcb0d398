"""Why weights have 7 bits: the integer products of AVX2 and of VNNI are then the same numbers.

VNNI adds products of uint8 and int8 up in 32 bits. AVX2 has no such instruction: ``vpmaddubsw`` adds two products into
a signed 16-bit number and saturates. Not every machine that builds has VNNI, so the proof is arithmetic: no pair of
products with 7-bit weights leaves 16 bits.
"""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from model_build.graphs.quantize import WEIGHT_MAX

INT16 = np.iinfo(np.int16)
DEPTHS = st.integers(1, 200).map(lambda half: 2 * half)


def vnni(row: np.ndarray, column: np.ndarray) -> int:
    """``vpdpbusd``: exact in 32 bits."""
    return int(row.astype(np.int32) @ column.astype(np.int32))


def avx2(row: np.ndarray, column: np.ndarray) -> int:
    """``vpmaddubsw``, then sums in 32 bits: each pair of products saturates."""
    pairs = (row.astype(np.int32) * column.astype(np.int32)).reshape(-1, 2).sum(1)
    return int(pairs.clip(INT16.min, INT16.max).sum())


def drawn(seed: int, depth: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """A row of uint8 and a column of weights up to ``most``, with many at the ends of their ranges."""
    numbers = np.random.default_rng(seed)
    row, column = numbers.integers(0, 256, depth), numbers.integers(-most, most + 1, depth)
    extreme = numbers.random(depth) < 0.5
    return (
        np.where(extreme, numbers.choice([0, 255], depth), row).astype(np.uint8),
        np.where(extreme, numbers.choice([-most, most], depth), column).astype(np.int8),
    )


def test_no_pair_of_products_with_7_bit_weights_leaves_16_bits() -> None:
    """All of them: a sum of two products lies between twice the least and twice the largest product there is."""
    products = np.multiply.outer(np.arange(256), np.arange(-WEIGHT_MAX, WEIGHT_MAX + 1))
    assert 2 * products.min() >= INT16.min
    assert 2 * products.max() <= INT16.max


def test_one_more_bit_leaves_16_bits() -> None:
    assert INT16.max < 2 * 255 * 127


@given(st.integers(0, 2**32 - 1), DEPTHS)
def test_avx2_and_vnni_agree_on_7_bit_weights(seed: int, depth: int) -> None:
    row, column = drawn(seed, depth, WEIGHT_MAX)
    assert avx2(row, column) == vnni(row, column)


def test_they_differ_on_8_bit_weights_as_was_measured() -> None:
    """The numbers of a machine with VNNI and of an emulated Haswell: docs/model-log.md."""
    row, column = np.full(64, 255, np.uint8), np.full(64, 127, np.int8)
    assert vnni(row, column) == 2_072_640
    assert avx2(row, column) == 1_048_544


@pytest.mark.parametrize("depth", [1, 7, 64, 384, 1_536])
def test_onnxruntime_on_this_cpu_gives_the_exact_sums_for_7_bit_weights(depth: int) -> None:
    drawings = [drawn(seed, depth, WEIGHT_MAX) for seed in range(16)]
    rows, matrix = np.stack([row for row, _ in drawings]), np.stack([column for _, column in drawings], axis=1)
    assert np.array_equal(product(rows, matrix), rows.astype(np.int32) @ matrix.astype(np.int32))
    rows[:], matrix[:] = 255, WEIGHT_MAX
    assert (product(rows, matrix) == 255 * WEIGHT_MAX * depth).all()


def product(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """``MatMulInteger`` of onnxruntime, the matrix being a constant as in the artifact."""
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["rows", "matrix"], ["sums"])],
        "product",
        [helper.make_tensor_value_info("rows", TensorProto.UINT8, rows.shape)],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, (len(rows), matrix.shape[1]))],
        [numpy_helper.from_array(np.ascontiguousarray(matrix), "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    sums: np.ndarray = session.run(None, {"rows": rows})[0]
    return sums
