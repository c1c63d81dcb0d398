"""Texts of a wanted length, made of the words of an artifact's golden examples: every artifact brings its own."""

from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from slipway.artifact import TOKENIZER, read_manifest
from slipway.encoding import Encoder

LENGTHS = (8, 32, 128)
_SEED = 13
# Of the logarithm: half of the texts have fewer than 24 tokens, one in a hundred has the model's limit.
_MEDIAN_TOKENS, _SIGMA = 24, 0.8


class Texts:
    """Makes texts for one artifact."""

    def __init__(self, encoder: Encoder, words: Sequence[str]) -> None:
        self._encoder = encoder
        counts = {word: len(encoder.tokenizer.encode(word, add_special_tokens=False).ids) for word in words}
        self._words = [(word, counts[word]) for word in words if counts[word]]
        self._fillers = [word for word, count in self._words if count == 1]
        self.special = encoder.max_tokens - encoder.room

    @classmethod
    def of(cls, artifact: Path) -> "Texts":
        """From the words of the artifact's golden examples."""
        manifest = read_manifest(artifact)
        encoder = Encoder.load(artifact / TOKENIZER, max_tokens=manifest.max_tokens)
        return cls(encoder, [word for golden in manifest.golden for word in golden.text.split()])

    def lengths(self) -> list[int]:
        """Those of ``LENGTHS`` that the model reads whole; the longest that it reads instead of longer ones."""
        return sorted({min(length, self._encoder.max_tokens) for length in LENGTHS})

    def of_length(self, tokens: int, count: int) -> list[str]:
        """``count`` texts of exactly ``tokens`` tokens, special ones included, each begun at another word."""
        texts = [self._write(tokens - self.special, start) for start in range(count)]
        wrong = {encoded.tokens for encoded in self._encoder.encode(texts)} - {tokens}
        if wrong:
            raise ValueError(f"This tokenizer joins words: a text of {tokens} tokens came out with {wrong.pop()}.")
        return texts

    def long_tailed(self, count: int) -> list[str]:
        """``count`` texts whose lengths are log-normal, cut at what the model reads: many short, a few long ones."""
        drawn = np.random.default_rng(_SEED).lognormal(np.log(_MEDIAN_TOKENS), _SIGMA, count)
        lengths = np.clip(drawn.astype(int), self.special + 1, self._encoder.max_tokens).tolist()
        return [self._write(length - self.special, start) for start, length in enumerate(lengths)]

    def tokens(self, texts: Sequence[str]) -> int:
        """How many tokens the texts have together."""
        return sum(encoded.tokens for encoded in self._encoder.encode(texts))

    def _write(self, room: int, start: int) -> str:
        chosen = []
        offset = start % len(self._words)
        for word, count in islice(cycle(self._words), offset, offset + len(self._words) + room):
            if count <= room:
                chosen.append(word)
                room -= count
        return " ".join([*chosen, *islice(cycle(self._fillers), room)])
