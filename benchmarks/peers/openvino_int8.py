"""OpenVINO with NNCF's int8 of the exported graph, in a virtual environment of its own.

``BASE GRAPH CALIBRATION [--batch N]``: the last is a file with one text a line, on which NNCF observes activations.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nncf
import openvino

from benchmarks.peers.loop import Prepare, answer_with, serve
from benchmarks.peers.padded import Padded


def _load() -> Mapping[str, Prepare]:
    parser = argparse.ArgumentParser()
    parser.add_argument("base", type=Path)
    parser.add_argument("graph", type=Path)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("--batch", type=int, default=1)
    arguments = parser.parse_args()
    quantized = arguments.graph.with_suffix(".openvino-int8.xml")
    core = openvino.Core()
    if not quantized.exists():
        openvino.save_model(_quantize(core, arguments), quantized, compress_to_fp16=False)
    one_thread = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(quantized, "CPU", one_thread)
    padded = Padded(arguments.base, arguments.batch)
    request = compiled.create_infer_request()
    return answer_with(lambda texts: [_softmax(request.infer(list(batch))[0]) for batch in padded.batches(texts)])


def _quantize(core: Any, arguments: argparse.Namespace) -> Any:
    texts = arguments.calibration.read_text().splitlines()
    items = [list(batch) for batch in Padded(arguments.base, 1).batches(texts)]
    model = core.read_model(arguments.graph)
    transformer = nncf.ModelType.TRANSFORMER
    return nncf.quantize(model, nncf.Dataset(items), model_type=transformer, subset_size=len(items))


def _softmax(logits: Any) -> Any:
    shifted = logits - logits.max(-1, keepdims=True)
    return (chances := 2.718281828459045**shifted) / chances.sum(-1, keepdims=True)


if __name__ == "__main__":
    serve(_load, ["openvino", "nncf"])
