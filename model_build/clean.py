"""Rows to three leak-free splits; whatever is dropped on the way is counted by its reason."""

import hashlib
import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import ftfy

from model_build.config import DataConfig
from model_build.data import Row
from slipway.errors import BuildError

SPLITS = ("train", "dev", "test")
_SPACES = re.compile(r"\s+")
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Example:
    """A clean text and the index of its label."""

    text: str
    label: int


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """``splits`` by name; ``dropped`` counts rows by reason, ``mended`` texts whose encoding was repaired."""

    labels: list[str]
    splits: dict[str, list[Example]]
    rows: int
    dropped: dict[str, int]
    mended: int

    def fingerprint(self) -> str:
        """SHA-256 (hex) over every split's texts and labels, in order."""
        digest = hashlib.sha256("\x1f".join(self.labels).encode())
        for name in SPLITS:
            for example in self.splits[name]:
                digest.update(f"\x1e{name}\x1f{example.label}\x1f{example.text}".encode())
        return digest.hexdigest()


def clean(rows: Iterable[Row], config: DataConfig) -> Dataset:
    """Drop what cannot be learnt from, then split by label. Raises BuildError if too little is left."""
    collected = collect(rows, config)
    by_label = collected.by_label()
    labels = _label_order(by_label, config)
    _require_enough(by_label, collected, config)
    return Dataset(
        labels=[config.label_names.get(label, label) for label in labels],
        splits=split({index: by_label[label] for index, label in enumerate(labels)}, config),
        rows=collected.rows,
        dropped=dict(sorted(collected.dropped.items())),
        mended=collected.mended,
    )


def collect(rows: Iterable[Row], config: DataConfig) -> "Collected":
    """What is left of ``rows``, before it is split."""
    collected = Collected()
    for row in rows:
        collected.take(row, config)
    return collected


def split(by_label: dict[int, list[str]], config: DataConfig) -> dict[str, list[Example]]:
    """Stratified: each label's texts are shuffled with the seed and cut at the same shares; at least one in each."""
    chooser = random.Random(config.seed)  # noqa: S311 - reproducible, not secret
    splits: dict[str, list[Example]] = {name: [] for name in SPLITS}
    for label, texts in by_label.items():
        shuffled = chooser.sample(texts, len(texts))
        dev = max(1, round(config.dev * len(texts)))
        test = max(1, round(config.test * len(texts)))
        parts = {"test": shuffled[:test], "dev": shuffled[test : test + dev], "train": shuffled[test + dev :]}
        for name, part in parts.items():
            splits[name] += [Example(text, label) for text in part]
    return {name: chooser.sample(examples, len(examples)) for name, examples in splits.items()}


def normalize(text: str) -> str:
    """What two texts have in common if a reader would call them the same.

    >>> normalize("  Great ﬁlm! ") == normalize("great film !")
    True
    """
    # Once more after folding case: it takes Greek letters with two accents apart.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    letters = "".join(" " if unicodedata.category(c)[0] in "PZC" else c for c in folded)
    return _SPACES.sub("", letters) or folded.strip()


@dataclass
class Collected:
    """Texts by their normalized form, with the reasons for what was left out."""

    rows: int = 0
    mended: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    _kept: dict[str, tuple[str, str]] = field(default_factory=dict)
    _conflicts: set[str] = field(default_factory=set)

    def examples(self, config: DataConfig) -> list[tuple[str, str]]:
        """Text and label's name of everything that is left."""
        return [(t, config.label_names.get(label, label)) for label, texts in self.by_label().items() for t in texts]

    def take(self, row: Row, config: DataConfig) -> None:
        self.rows += 1
        text = self._mend(row.text or "")
        if reason := _unusable(row, text, config):
            self.dropped[reason] += 1
        elif row.label is not None:
            self._keep(text, row.label)

    def by_label(self) -> dict[str, list[str]]:
        grouped: dict[str, list[str]] = defaultdict(list)
        for form, (text, label) in self._kept.items():
            if form not in self._conflicts:
                grouped[label].append(text)
        return grouped

    def _mend(self, text: str) -> str:
        mended = ftfy.fix_encoding(text).replace("\x00", " ").strip()
        self.mended += mended != text.strip()
        return mended

    def _keep(self, text: str, label: str) -> None:
        form = normalize(text)
        if form not in self._kept:
            self._kept[form] = text, label
            return
        seen, seen_label = self._kept[form]
        if form in self._conflicts:
            self.dropped["conflicting labels"] += 1
        elif seen_label != label:
            self._conflicts.add(form)
            self.dropped["conflicting labels"] += 2  # nobody can tell which of the two is right
        else:
            self.dropped["exact duplicate" if seen == text else "normalized duplicate"] += 1


def _unusable(row: Row, text: str, config: DataConfig) -> str:
    """Why a row cannot be used, or nothing."""
    if row.malformed:
        return "malformed row"
    if row.text is None or not text:
        return "missing or empty text"
    if row.label is None:
        return "missing label"
    if any("\ufffd" in value or _SURROGATES.search(value) for value in (text, row.label)):
        return "broken encoding"
    return "over-long text" if len(text) > config.max_chars else ""


def _label_order(by_label: dict[str, list[str]], config: DataConfig) -> list[str]:
    """In the order of ``label_names`` where given, else sorted."""
    if config.label_names and (unknown := sorted(set(by_label) - set(config.label_names))):
        raise BuildError(
            f"The label {unknown[0]!r} is in the data but not in data.label_names.",
            remedy="Name every label there, or none.",
        )
    return [label for label in config.label_names or sorted(by_label) if label in by_label]


def _require_enough(by_label: dict[str, list[str]], collected: Collected, config: DataConfig) -> None:
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(collected.dropped.items())) or "none"
    if not by_label:
        raise BuildError(f"{config.path} has no usable row: {collected.rows} read; dropped: {dropped}.")
    if len(by_label) == 1:
        raise BuildError(
            f"{config.path} has only the label {next(iter(by_label))!r}; a classifier needs at least two.",
            remedy=f"Check data.label and data.where. Dropped: {dropped}.",
        )
    rarest = min(by_label, key=lambda label: len(by_label[label]))
    if len(by_label[rarest]) < len(SPLITS):
        raise BuildError(
            f"The label {rarest!r} has {len(by_label[rarest])} usable rows; each split needs at least one.",
            remedy="Add examples of it, or leave it out with data.where.",
        )
