"""What most people start from: transformers' ``pipeline("text-classification")`` in fp32. ``BASE [--batch N]``."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
import transformers

from benchmarks.peers.loop import Prepare, answer_with, serve
from benchmarks.peers.padded import MAX_TOKENS


def _load() -> Mapping[str, Prepare]:
    parser = argparse.ArgumentParser()
    parser.add_argument("base", type=Path)
    parser.add_argument("--batch", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    model = transformers.AutoModelForSequenceClassification.from_pretrained(arguments.base, num_labels=2)
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.base)
    classify = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    limit = min(MAX_TOKENS, model.config.max_position_embeddings)
    return answer_with(lambda texts: classify(texts, batch_size=arguments.batch, truncation=True, max_length=limit))


if __name__ == "__main__":
    serve(_load, ["torch", "transformers"])
