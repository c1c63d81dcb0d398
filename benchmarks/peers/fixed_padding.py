"""The same fp32 graph as served by fastembed's code: default session options, every text padded to the model's limit.

``ARTIFACT [--batch N]``. fastembed keeps the padding that a tokenizer.json asks for, and MiniLM's asks for 128 tokens.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

from benchmarks.peers.loop import Prepare, answer_with, serve
from slipway.artifact import TOKENIZER, model_file, read_manifest
from slipway.probabilities import Logits, softmax


def _load() -> Mapping[str, Prepare]:
    parser = argparse.ArgumentParser()
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--batch", type=int, default=256)
    arguments = parser.parse_args()
    manifest = read_manifest(arguments.artifact)
    tokenizer = Tokenizer.from_file(str(arguments.artifact / TOKENIZER))
    tokenizer.enable_truncation(manifest.max_tokens)
    tokenizer.enable_padding(length=manifest.max_tokens, pad_id=manifest.pad_id)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(arguments.artifact / model_file("fp32")), options)

    def answer(texts: list[str]) -> list[Logits]:
        batches = (texts[start : start + arguments.batch] for start in range(0, len(texts), arguments.batch))
        return [softmax(session.run(None, {"input_ids": _ids(tokenizer, batch)})[0]) for batch in batches]

    return answer_with(answer)


def _ids(tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    return np.array([encoding.ids for encoding in tokenizer.encode_batch(texts)], np.int32)


if __name__ == "__main__":
    serve(_load, ["onnxruntime"])
