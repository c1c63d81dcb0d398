"""Text to token ids: the one way, for training, gates, Lambda, the GPU endpoint and batch alike."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from slipway.errors import ArtifactError, InvalidRequest

if TYPE_CHECKING:
    from slipway.requests import Truncation

TokenIds = np.ndarray[tuple[Any, ...], np.dtype[np.int32]]  # as numpy.typing says it, whose import takes half a ms
_WORDS = b'"vocab":{'


class Encoded(NamedTuple):
    """One text as the model sees it.

    Each of ``windows`` has shape (tokens,), special tokens included; there is one, unless the policy ``windows`` cut a
    long text into several. ``tokens`` counts those of the whole text.
    """

    windows: tuple[TokenIds, ...]
    tokens: int
    truncated: bool = False

    @property
    def ids(self) -> TokenIds:
        """The first window, which is the only one under every other policy."""
        return self.windows[0]

    @property
    def cost(self) -> int:
        """Tokens that are computed for this text."""
        return sum(map(len, self.windows))


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
        self.room = max_tokens - len(self._prefix) - len(self._suffix)

    @classmethod
    def load(cls, path: Path, *, max_tokens: int, words: Path | None = None) -> "Encoder":
        """Read a ``tokenizer.json``, as ``read_quickly`` does if ``words`` is given.

        Raises ArtifactError if it cannot be read.
        """
        try:
            tokenizer = read_quickly(path, words) if words else Tokenizer.from_file(str(path))
            return cls(tokenizer, max_tokens=max_tokens)
        except Exception as error:  # tokenizers raises bare Exception for whatever it cannot read
            raise ArtifactError(f"{path.name} is not a readable tokenizer: {error}.") from error

    def encode(
        self, texts: Sequence[str], *, truncation: "Truncation" = "right", source: str = "instances"
    ) -> list[Encoded]:
        """Token ids of each text, in order.

        Raises InvalidRequest under the policy ``error`` for the first text that is too long; ``source`` is the list
        that the request calls the texts.
        """
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [self._fit(encoding.ids, source, row, truncation) for row, encoding in enumerate(encodings)]

    def surround(self, ids: Sequence[int]) -> TokenIds:
        """Ids of a text's own tokens with the special ones around them, shape (tokens,)."""
        return np.array([*self._prefix, *ids, *self._suffix], np.int32)

    def _fit(self, ids: list[int], source: str, row: int, truncation: "Truncation") -> Encoded:
        tokens = len(self._prefix) + len(ids) + len(self._suffix)
        if tokens <= self.max_tokens:
            return Encoded((self.surround(ids),), tokens)
        if truncation == "windows":
            return Encoded(tuple(self.surround(ids[start : start + self.room]) for start in self._starts(ids)), tokens)
        if truncation == "error":
            raise InvalidRequest(
                f"The text has {tokens} tokens; the model reads {self.max_tokens}.",
                field=f"{source}[{row}]",
                remedy="Shorten it, or allow truncation: right, left or windows.",
            )
        seen = ids[: self.room] if truncation == "right" else ids[-self.room :]
        return Encoded((self.surround(seen),), tokens, truncated=True)

    def _starts(self, ids: Sequence[int]) -> list[int]:
        """Where windows begin: each overlaps the one before by a quarter, and the last one is as full as the others."""
        last = len(ids) - self.room
        return [*range(0, last, max(1, self.room - self.room // 4)), last]


def read_quickly(path: Path, words: Path) -> Tokenizer:
    """A WordPiece ``tokenizer.json`` whose words are read from a file of their own, a word a line, in half the time.

    The build has made sure that it is the same tokenizer, or there would be no such file.
    """
    content = json.loads(path.read_bytes().partition(_WORDS)[0] + _WORDS + b"}}}")
    special = {token["content"]: token["id"] for token in content["added_tokens"]}
    content["model"]["vocab"] = special  # they keep the ids that they are given now
    tokenizer = Tokenizer.from_str(json.dumps(content))
    names = ("unk_token", "max_input_chars_per_word", "continuing_subword_prefix")
    tokenizer.model = WordPiece.from_file(str(words), **{name: content["model"][name] for name in names})
    return tokenizer


def _special_tokens(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer's template puts before and after a text."""
    encoding = tokenizer.encode("a")
    marks = encoding.special_tokens_mask
    first = marks.index(0)
    last = len(marks) - marks[::-1].index(0)
    return encoding.ids[:first], encoding.ids[last:]
