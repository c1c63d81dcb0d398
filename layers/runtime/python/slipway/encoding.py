"""Text to token ids: the one way, for training, gates, Lambda, the GPU endpoint and batch alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from slipway.errors import ArtifactError, InvalidRequest

Truncation = Literal["right", "left", "error"]
TRUNCATIONS: tuple[Truncation, ...] = get_args(Truncation)

TokenIds = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text as the model sees it.

    ``ids`` has shape (tokens,), special tokens included. ``tokens`` counts them before truncation.
    """

    ids: TokenIds
    tokens: int

    @property
    def truncated(self) -> bool:
        """Whether the model sees only a part of the text."""
        return self.tokens > len(self.ids)


class Encoder:
    """A tokenizer with its limit.

    Special tokens are put around the text here, after truncation, because truncating in the tokenizer is state that two
    requests with different policies would share.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int) -> None:
        tokenizer.no_padding()  # a tokenizer.json often pads to 128: 8 times the work for a short text
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True  # a text that spells "[PAD]" or "[SEP]" is text, not structure
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self._prefix, self._suffix = _special_tokens(tokenizer)
        self._room = max_tokens - len(self._prefix) - len(self._suffix)

    @classmethod
    def load(cls, path: Path, *, max_tokens: int) -> "Encoder":
        """Read a ``tokenizer.json``. Raises ArtifactError if it cannot be read."""
        try:
            return cls(Tokenizer.from_file(str(path)), max_tokens=max_tokens)
        except Exception as error:  # tokenizers raises bare Exception for whatever it cannot read
            raise ArtifactError(f"{path.name} is not a readable tokenizer: {error}.") from error

    def encode(self, texts: Sequence[str], *, truncation: Truncation = "right") -> list[Encoded]:
        """Token ids of each text, in order.

        Raises InvalidRequest under the policy ``error`` for the first text that is too long.
        """
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [self._fit(encoding.ids, row, truncation) for row, encoding in enumerate(encodings)]

    def _fit(self, ids: list[int], row: int, truncation: Truncation) -> Encoded:
        tokens = len(self._prefix) + len(ids) + len(self._suffix)
        if tokens > self.max_tokens:
            if truncation == "error":
                raise InvalidRequest(
                    f"The text has {tokens} tokens; the model reads {self.max_tokens}.",
                    field=f"instances[{row}]",
                    remedy='Shorten it, or send "truncate": "right" or "left".',
                )
            ids = ids[: self._room] if truncation == "right" else ids[-self._room :]
        return Encoded(np.array([*self._prefix, *ids, *self._suffix], np.int32), tokens)


def _special_tokens(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer's template puts before and after a text."""
    encoding = tokenizer.encode("a")
    marks = encoding.special_tokens_mask
    first = marks.index(0)
    last = len(marks) - marks[::-1].index(0)
    return encoding.ids[:first], encoding.ids[last:]
