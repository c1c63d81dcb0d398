"""What ``torch.onnx`` exports, run by onnxruntime with its default optimizations: ``BASE GRAPH [--batch N]``."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import onnxruntime as ort

from benchmarks.peers.loop import Prepare, answer_with, serve
from benchmarks.peers.padded import INPUTS, Padded
from slipway.probabilities import softmax


def _load() -> Mapping[str, Prepare]:
    parser = argparse.ArgumentParser()
    parser.add_argument("base", type=Path)
    parser.add_argument("graph", type=Path)
    parser.add_argument("--batch", type=int, default=1)
    arguments = parser.parse_args()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(arguments.graph), options)
    padded = Padded(arguments.base, arguments.batch)
    return answer_with(
        lambda texts: [
            softmax(session.run(None, dict(zip(INPUTS, batch, strict=True)))[0]) for batch in padded.batches(texts)
        ]
    )


if __name__ == "__main__":
    serve(_load, ["onnxruntime"])
