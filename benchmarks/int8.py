"""What int8 is worth here: ``make bench`` or ``python -m benchmarks.int8 [ARTIFACT]``.

Side by side in one run, variants taking turns, one thread, single texts and packs: the artifact's fp32, its int8, the
same without calibration, and onnxruntime's own dynamic quantization of the same fp32 graph. Prints a Markdown table.
"""

import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from model_build.config import read_config
from model_build.data.clean import clean
from model_build.data.read import read_rows
from model_build.evaluation.evaluate import time_networks
from model_build.graphs.calibrate import Inputs
from model_build.graphs.export import save
from model_build.graphs.quantize import quantize_rows
from model_build.reporting.card import table
from slipway.artifact import TOKENIZER, model_file, read_manifest
from slipway.encoding import Encoder
from slipway.predictor import Network

CONFIG = Path("configs/demo.toml")
TIMED = 64


def main(artifact: Path) -> None:
    """Accuracy, agreement with fp32, sensitivity to the batch, and milliseconds a text."""
    manifest = read_manifest(artifact)
    encoder = Encoder.load(artifact / TOKENIZER, max_tokens=manifest.max_tokens)
    config = read_config(CONFIG)
    with tempfile.TemporaryDirectory() as scratch:
        examples = clean(read_rows(config.data), config.data, Path(scratch)).splits["test"]
        rows = [encoded.ids for encoded in encoder.encode(list(examples.texts()))]
        labels = examples.targets()
        paths = {
            "fp32": artifact / model_file("fp32"),
            "int8, onnxruntime's dynamic": _dynamic(artifact, Path(scratch)),
            "int8, a scale a row, not calibrated": _uncalibrated(artifact, Path(scratch)),
            "int8, a scale a row, calibrated (ours)": artifact / model_file("int8"),
        }
        networks = {name: Network(path, pad_id=manifest.pad_id) for name, path in paths.items()}
        speed = time_networks(networks, dict.fromkeys(networks, rows[:TIMED]))
    alone = {name: network.logits(rows, pack_tokens=1).argmax(1) for name, network in networks.items()}
    packed = {name: network.logits(rows).argmax(1) for name, network in networks.items()}
    measured = [
        [
            name,
            f"{(alone[name] == labels).mean():.4f}",
            f"{100 * (alone[name] == alone['fp32']).mean():.2f} %",
            int((alone[name] != packed[name]).sum()),
            speed[name]["ms_alone"],
            speed[name]["ms_packed"],
        ]
        for name in networks
    ]
    head = ["variant", "accuracy", "same label as fp32", "labels changed by batching", "ms alone", "ms in packs"]
    print(f"{manifest.model} {manifest.version}, {len(rows)} test texts, one thread\n\n{table(head, measured)}")  # noqa: T201


def _dynamic(artifact: Path, scratch: Path) -> Path:
    """What ``quantize_dynamic`` makes of the same fp32 graph, with its defaults."""
    path = scratch / "dynamic.onnx"
    # The type of values that Microsoft's operators give has to be told: its shape inference does not know them.
    options = {"DefaultTensorType": TensorProto.FLOAT}
    logging.disable(logging.WARNING)  # one warning a value otherwise
    quantize_dynamic(artifact / model_file("fp32"), path, weight_type=QuantType.QInt8, extra_options=options)
    return path


def _uncalibrated(artifact: Path, scratch: Path) -> Path:
    """Our rewrite with statistics that know nothing: no channel stands out, and no error is made up for elsewhere."""
    model = onnx.load(artifact / model_file("fp32"))
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    observed = {
        node.input[0]: Inputs(np.eye(len(matrix)), np.abs(matrix).max(axis=1))
        for node in model.graph.node
        if node.op_type == "MatMul" and (matrix := weights.get(node.input[1])) is not None and matrix.ndim == 2
    }
    path = scratch / "uncalibrated.onnx"
    save(quantize_rows(model, observed), path)
    return path


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else max(Path("build/demo").glob("2*")))
