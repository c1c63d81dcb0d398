"""What int8 is worth here: accuracy, agreement with fp32, sensitivity to the batch, milliseconds.

One thread, single texts and packs: the artifact's fp32, its int8, the same without calibration, and onnxruntime's own
dynamic quantization of the same fp32 graph.
"""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from benchmarks.measure import Measure, Sample, middle, take_turns, timed
from benchmarks.options import Options
from benchmarks.peers.dynamic import dynamic
from benchmarks.sentences import split_sentences
from benchmarks.tables import Measured, Table, milliseconds
from model_build.graphs.calibrate import Inputs, Matrix
from model_build.graphs.export import save
from model_build.graphs.quantize import quantize_rows
from slipway.artifact import TOKENIZER, model_file, read_manifest
from slipway.encoding import Encoder, TokenIds
from slipway.network import Network


def measure(options: Options) -> Measured:
    """One table over the test split of ``options.config``."""
    manifest = read_manifest(options.artifact)
    with tempfile.TemporaryDirectory() as scratch:
        rows, labels = test_split(options, options.artifact)
        networks = {
            name: Network(path, pad_id=manifest.pad_id) for name, path in _graphs(options, Path(scratch)).items()
        }
    timed_rows = rows[: options.count(64, 4)]
    speed = take_turns(
        {f"{name} · {way}": each for name, network in networks.items() for way, each in _ways(network, timed_rows)},
        rounds=options.rounds,
        progress=options.progress,
    )
    alone = {name: network.logits(rows, pack_tokens=1).argmax(1) for name, network in networks.items()}
    packed = {name: network.logits(rows).argmax(1) for name, network in networks.items()}
    measured = [
        [
            name,
            f"{(alone[name] == labels).mean():.4f}",
            f"{100 * (alone[name] == alone['fp32']).mean():.2f} %",
            str(int((alone[name] != packed[name]).sum())),
            milliseconds(middle(speed[f"{name} · alone"])),
            milliseconds(middle(speed[f"{name} · packed"])),
        ]
        for name in networks
    ]
    return Measured([_table(measured, len(rows), len(timed_rows), options.rounds)])


def _table(rows: list[list[str]], texts: int, counted: int, rounds: int) -> Table:
    return Table(
        title="int8: what it is worth",
        reading=f"{texts} texts of the test split, one thread; the fewer labels change, the better; milliseconds a "
        f"text for {counted} of them, alone and in packs, medians of {rounds} rounds.",
        head=["", "accuracy", "same label as fp32", "labels changed by batching", "ms alone", "ms in packs"],
        rows=rows,
    )


def test_split(options: Options, artifact: Path) -> tuple[list[TokenIds], np.ndarray]:
    """Token ids and labels of the test split of ``options.config``, as ``artifact`` reads them."""
    encoder = Encoder.load(artifact / TOKENIZER, max_tokens=read_manifest(artifact).max_tokens)
    texts, labels = split_sentences(options)
    return [encoded.ids for encoded in encoder.encode(texts)], labels


def _graphs(options: Options, scratch: Path) -> dict[str, Path]:
    fp32 = options.artifact / model_file("fp32")
    return {
        "fp32": fp32,
        "int8, onnxruntime's dynamic": dynamic(fp32, scratch / "dynamic.onnx"),
        "int8, a scale a row, not calibrated": _uncalibrated(fp32, scratch),
        "int8, calibrated (ours)": options.artifact / model_file("int8"),
    }


def _ways(network: Network, rows: Sequence[TokenIds]) -> list[tuple[str, Measure]]:
    return [("alone", partial(_alone, network, rows)), ("packed", partial(_packed, network, rows))]


def _alone(network: Network, rows: Sequence[TokenIds]) -> list[Sample]:
    return [timed(partial(network.logits, [row])) for row in rows]


def _packed(network: Network, rows: Sequence[TokenIds]) -> list[Sample]:
    together = timed(partial(network.logits, rows))
    return [Sample(together.wall / len(rows), together.cpu / len(rows))]


def _uncalibrated(fp32: Path, scratch: Path) -> Path:
    """Our rewrite with statistics that know nothing: no channel stands out, and no error is made up for elsewhere."""
    model = onnx.load(fp32)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    observed = {
        node.input[0]: _unseen(np.abs(matrix).max(axis=1))
        for node in model.graph.node
        if node.op_type == "MatMul" and (matrix := weights.get(node.input[1])) is not None and matrix.ndim == 2
    }
    path = scratch / "uncalibrated.onnx"
    save(quantize_rows(model, observed), path)
    return path


def _unseen(peak: Matrix) -> Inputs:
    """Of rows that nobody saw, with this largest magnitude of each channel."""
    return Inputs(gram=np.eye(len(peak)), total=np.zeros(len(peak)), low=-peak, high=peak, count=1)
