"""The precisions in which a float32 graph can ship on a CPU, ours and onnxruntime's own, behind one call each.

fp32      as trained
rows      int8, a scale a row of activations, or fixed ones where labels allow: the same in any batch (quantize.py)
dynamic   onnxruntime's quantize_dynamic, one scale a batch: answers depend on who shares the batch
static    onnxruntime's quantize_static (QDQ, MinMax), activation scales from calibration texts
weights   8-bit weights in blocks of 128, float activations (MatMulNBits)
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from model_build.graphs.calibrate import Inputs, observe, product_inputs
from model_build.graphs.export import optimize, save
from model_build.graphs.quantize import quantize_rows, quantize_tables
from model_build.graphs.sensitivity import Promise, quantize_within
from model_build.sections import Precision
from slipway.encoding import TokenIds

# Microsoft's operators are unknown to onnx's shape inference, so the type of what they give has to be told.
_TYPES = {"DefaultTensorType": TensorProto.FLOAT}


def to_precision(
    model: onnx.ModelProto, precision: Precision, rows: Sequence[TokenIds], promise: Promise | None = None
) -> onnx.ModelProto:
    """``model`` (float32) in ``precision``; ``rows`` are token ids of calibration texts, none of them padded.

    ``promise`` bounds the labels that ``rows`` may flip; the other precisions are taken as onnxruntime makes them.
    """
    if precision == "fp32":
        return model
    if precision == "rows":
        return quantize_within(model, rows, promise)[0] if promise else quantize_rows(model, observe_rows(model, rows))
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        given, found = Path(scratch) / "given.onnx", Path(scratch) / "found.onnx"
        save(model, given)
        _MAKERS[precision](given, found, rows)
        return onnx.load(found)


def observe_rows(model: onnx.ModelProto, rows: Sequence[TokenIds]) -> dict[str, Inputs]:
    """What the products of ``model`` see of ``rows``."""
    return observe(model, [row[None] for row in rows])


def _dynamic(given: Path, found: Path, _: Sequence[TokenIds]) -> None:
    quantize_dynamic(given, found, weight_type=QuantType.QInt8, extra_options=_TYPES)


def _static(given: Path, found: Path, rows: Sequence[TokenIds]) -> None:
    pairs, typed = found.with_name("pairs.onnx"), found.with_name("typed.onnx")
    save(_with_types(onnx.load(given)), typed)
    quantize_static(
        typed,
        pairs,
        _Rows(rows),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul", "Gather"],
        per_channel=True,
        reduce_range=True,  # 7 bits: AVX2 saturates with 8
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        extra_options=_TYPES | {"MatMulConstBOnly": True},
    )
    optimize(pairs, found)  # fuses each pair of (de)quantizations into an integer product, once and not at every load


def _with_types(model: onnx.ModelProto) -> onnx.ModelProto:
    """The quantizer skips what it knows no type of: all that comes after an operator of Microsoft's."""
    known = {value.name for value in model.graph.value_info}
    names = [name for name in product_inputs(model) if name not in known]
    model.graph.value_info.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    return model


def _weights(given: Path, found: Path, _: Sequence[TokenIds]) -> None:
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    settings = DefaultWeightOnlyQuantConfig(block_size=128, is_symmetric=True, accuracy_level=4, bits=8)
    quantizer = MatMulNBitsQuantizer(quantize_tables(onnx.load(given)), bits=8, algo_config=settings)
    quantizer.process()
    onnx.save(quantizer.model.model, found)


_MAKERS: dict[str, Any] = {"dynamic": _dynamic, "static": _static, "weights": _weights}


class _Rows(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, rows: Sequence[TokenIds]) -> None:
        self._rows = iter(rows)

    def get_next(self) -> dict[str, Any] | None:
        row = next(self._rows, None)
        return None if row is None else {"input_ids": np.asarray(row)[None]}


@contextmanager
def _quiet() -> Iterator[None]:
    """One warning a value otherwise."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
