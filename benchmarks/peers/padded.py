"""Batches in the order given, padded to the longest, as ids, mask and types: what exported BERT graphs are fed.

numpy and tokenizers only: it runs in the environment of OpenVINO as well.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Array = npt.NDArray[np.int64]
MAX_TOKENS = 128
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Padded:
    """The tokenizer of a base model and a number of texts a batch."""

    def __init__(self, base: Path, batch: int) -> None:
        limit = json.loads((base / "config.json").read_text())["max_position_embeddings"]
        self._tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
        self._tokenizer.enable_truncation(min(MAX_TOKENS, limit))
        self._tokenizer.enable_padding()
        self._batch = batch

    def batches(self, texts: list[str]) -> Iterator[tuple[Array, Array, Array]]:
        """Each of shape (texts, longest): ids, 1 where there is a token, and zeros."""
        for start in range(0, len(texts), self._batch):
            encodings = self._tokenizer.encode_batch(texts[start : start + self._batch])
            ids = np.array([encoding.ids for encoding in encodings], np.int64)
            mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
            yield ids, mask, np.zeros_like(ids)
