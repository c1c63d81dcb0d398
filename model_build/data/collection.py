"""One pass over the rows: usable texts go to disk, and of each row only numbers of fixed size stay in memory."""

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_build.data.read import Row, is_whole
from model_build.data.splits import Indices, LabelSets, TextTable
from model_build.data.text_writer import TextWriter
from model_build.data.texts import mend, normalize, shown, strip_html
from model_build.sections import DataConfig
from slipway.errors import BuildError

LABELS = 1_000
EXAMPLES = 10  # of each finding, for a person to look at
TEXT_SHOWN = 120  # characters
_LABEL_CHARACTERS = 200
_TABLE = "texts.arrow"
_HTML = re.compile("[<&]")
_PARSED = 10  # times ``max_chars``: what is longer is too long without its tags, too


@dataclass
class Noticed:
    """How many texts something was noticed in, with the first of them, shortened: as found and as kept."""

    count: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def note(self, row: int, found: str, kept: str) -> None:
        """Count a text, and keep it if it is among the first."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append({"row": row, "found": shown(found, TEXT_SHOWN), "kept": shown(kept, TEXT_SHOWN)})


@dataclass
class Collected:
    """What the pass leaves: 40 bytes a row, those of ``_forms`` and ``_exact`` until duplicates are found.

    ``names`` are the labels in the order in which they turned up; ``_codes`` are indices into them, ``_counts`` of
    them a row. ``_forms`` are 128-bit digests of normalized texts, ``_exact`` 64 bits of the texts themselves: among
    10 million texts two are taken for one with a chance of 10^-25 and, where it tells kinds of duplicates apart, 10^-6.
    """

    config: DataConfig
    rows: int = 0
    mended: Noticed = field(default_factory=Noticed)
    html: Noticed = field(default_factory=Noticed)
    dropped: Counter[str] = field(default_factory=Counter)
    names: dict[str, int] = field(default_factory=dict)
    _forms: bytearray = field(default_factory=bytearray)
    _exact: bytearray = field(default_factory=bytearray)
    _lengths: "array[int]" = field(default_factory=lambda: array("I"))
    _codes: "array[int]" = field(default_factory=lambda: array("H"))
    _counts: "array[int]" = field(default_factory=lambda: array("H"))
    _combinations: "array[int]" = field(default_factory=lambda: array("q"))

    def take(self, row: Row, writer: TextWriter) -> None:
        """Write a row, or count why it cannot be used."""
        self.rows += 1
        text = self._mend(row.text or "")
        labels = row.labels if self.config.task == "multi-label" or row.label is None else (row.label,)
        if reason := _unusable(row, text, labels, self.config):
            self.dropped[reason] += 1
            return
        codes = sorted(self._code(label) for label in labels or ())
        writer.add(text, self.rows, row.slices)
        raw = text.encode()
        self._forms += hashlib.blake2b(normalize(text).encode(), digest_size=16).digest()
        self._exact += hashlib.blake2b(raw, digest_size=8).digest()
        self._lengths.append(len(text))
        self._codes.extend(codes)
        self._counts.append(len(codes))
        self._combinations.append(hash(tuple(codes)))  # of integers: the same in every process

    def forms(self) -> npt.NDArray[np.uint64]:
        """Digests of the normalized texts, (rows, 2)."""
        return np.frombuffer(self._forms, np.uint64).reshape(-1, 2)

    def exact(self) -> npt.NDArray[np.uint64]:
        """Digests of the texts as they are, (rows,)."""
        return np.frombuffer(self._exact, np.uint64)

    def forget_forms(self) -> None:
        """Give back what only finding duplicates needs."""
        self._forms, self._exact = bytearray(), bytearray()

    def combinations(self) -> Indices:
        """A number for each row's set of labels, the same for the same set, (rows,)."""
        return np.frombuffer(self._combinations, np.int64)

    def lengths(self) -> npt.NDArray[np.uint32]:
        """Characters of each text, (rows,)."""
        return np.frombuffer(self._lengths, np.uint32)

    def sets(self) -> LabelSets:
        """The labels of each row, as indices into ``names``."""
        codes = np.frombuffer(self._codes, np.uint16)
        if self.config.task == "single-label":
            return LabelSets(codes)
        return LabelSets(
            codes, np.concatenate([[0], np.cumsum(np.frombuffer(self._counts, np.uint16), dtype=np.int64)])
        )

    def _mend(self, found: str) -> str:
        kept = mend(found)
        if kept != found.strip():
            self.mended.note(self.rows, found, kept)
        if not _HTML.search(kept) or len(kept) > _PARSED * self.config.max_chars:
            return kept
        stripped, has_html = strip_html(kept)
        if has_html:
            self.html.note(self.rows, kept, stripped)
        return stripped if self.config.strip_html else kept

    def _code(self, label: str) -> int:
        code = self.names.setdefault(label, len(self.names))
        if code >= LABELS:
            raise BuildError(
                f"{shown(self.config.path, 200)} has more than {LABELS:,} labels, such as {shown(label)!r}.",
                remedy=f"Is {self.config.label!r} the column of the labels? data.where can leave rare ones out.",
            )
        return code


def collect(rows: Iterable[Row], config: DataConfig, work: Path) -> tuple[Collected, TextTable]:
    """Take in all rows; the usable ones are then in ``work``, duplicates among them."""
    collected = Collected(config)
    with TextWriter(work / _TABLE, slices=len(config.slices)) as writer:
        for row in rows:
            collected.take(row, writer)
    return collected, TextTable(work / _TABLE)


def _unusable(row: Row, text: str, labels: tuple[str, ...] | None, config: DataConfig) -> str:
    """Why a row cannot be used, or nothing."""
    if row.malformed:
        return "malformed row"
    if row.text is None or not text:
        return "missing or empty text"
    if labels is None:
        return "missing label"
    if not all(map(is_whole, (text, *labels))):
        return "broken encoding"
    if any(len(label) > _LABEL_CHARACTERS for label in labels):
        return "over-long label"
    return "over-long text" if len(text) > config.max_chars else ""
