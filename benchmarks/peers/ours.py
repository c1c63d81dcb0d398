"""Our predictor, as a function uses it: ``ARTIFACT VARIANT [--threads N] [--alone]``."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from benchmarks.peers.loop import Prepare, answer_with, serve
from slipway.loading import load_predictor


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("artifact", type=Path)
    parser.add_argument("variant")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="one text after the other instead of packs")
    return parser.parse_args()


def _load() -> Mapping[str, Prepare]:
    arguments = _arguments()
    predictor = load_predictor(arguments.artifact, arguments.variant, threads=arguments.threads)
    if arguments.alone:
        return answer_with(lambda texts: [predictor.predict([text]) for text in texts])
    return answer_with(predictor.predict)


if __name__ == "__main__":
    serve(_load, ["onnxruntime"])
