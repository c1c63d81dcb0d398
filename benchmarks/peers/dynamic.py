"""onnxruntime's own dynamic quantization of a graph, with its defaults."""

import logging
from pathlib import Path

from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic


def dynamic(fp32: Path, path: Path) -> Path:
    """Write what ``quantize_dynamic`` makes of ``fp32``."""
    # The type of values that Microsoft's operators give has to be told: its shape inference does not know them.
    options = {"DefaultTensorType": TensorProto.FLOAT}
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # one warning a value otherwise
    try:
        quantize_dynamic(fp32, path, weight_type=QuantType.QInt8, extra_options=options)
    finally:
        logging.disable(before)
    return path
