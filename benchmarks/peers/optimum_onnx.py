"""optimum's ``ORTModelForSequenceClassification`` of the same network: ``BASE FOLDER [--batch N]``.

FOLDER keeps the export.
It runs in an environment of its own, since this release of optimum needs an older transformers than ours.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime as ort
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer

from benchmarks.peers.loop import Prepare, answer_with, serve
from benchmarks.peers.padded import MAX_TOKENS


def _load() -> Mapping[str, Prepare]:
    parser = argparse.ArgumentParser()
    parser.add_argument("base", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=1)
    arguments = parser.parse_args()
    if not (arguments.folder / "model.onnx").exists():
        ORTModelForSequenceClassification.from_pretrained(arguments.base, export=True).save_pretrained(arguments.folder)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    model = ORTModelForSequenceClassification.from_pretrained(arguments.folder, session_options=options)
    tokenizer = AutoTokenizer.from_pretrained(arguments.base)
    limit = min(MAX_TOKENS, model.config.max_position_embeddings)

    def answer(texts: list[str]) -> list[Any]:
        batches = (texts[start : start + arguments.batch] for start in range(0, len(texts), arguments.batch))
        inputs = (tokenizer(b, padding=True, truncation=True, max_length=limit, return_tensors="pt") for b in batches)
        return [model(**each).logits.softmax(-1).numpy() for each in inputs]

    return answer_with(answer)


if __name__ == "__main__":
    serve(_load, ["optimum-onnx", "transformers", "onnxruntime"])
