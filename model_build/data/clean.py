"""Rows to three leak-free splits; whatever is dropped on the way is counted by its reason.

    rows ── collect ──▶ texts on disk ── find_duplicates ──▶ kept rows ── draw ──▶ splits ── near-duplicates ──▶ Dataset

10 million rows need the disk that their texts take and some 100 bytes of memory each.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_build.data.collection import Collected, collect
from model_build.data.duplicates import Duplicates, find_duplicates
from model_build.data.findings import Findings, describe
from model_build.data.near_duplicates import NearDuplicates, find_near_duplicates
from model_build.data.read import Row
from model_build.data.splits import SPLITS, Example, Indices, LabelSets, Split
from model_build.data.strata import by_combination, by_label, complete_training, draw
from model_build.data.texts import normalize, shown
from model_build.sections import DataConfig
from slipway.artifact import Task
from slipway.errors import BuildError

__all__ = ["SPLITS", "Dataset", "Example", "Split", "clean", "keep_all", "normalize"]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """``splits`` by name; ``dropped`` counts rows by reason, ``mended`` texts whose encoding was repaired."""

    task: Task
    labels: list[str]
    splits: dict[str, Split]
    rows: int
    dropped: dict[str, int]
    mended: int
    findings: Findings
    slices: tuple[str, ...]

    def fingerprint(self) -> str:
        """SHA-256 (hex) over every split's texts and labels, in order."""
        digest = hashlib.sha256("\x1f".join(self.labels).encode())
        for name in SPLITS:
            for example in self.splits[name]:
                labels = ",".join(map(str, example.labels))
                digest.update(f"\x1e{name}\x1f{labels}\x1f{example.text}".encode())
        return digest.hexdigest()


def clean(rows: Iterable[Row], config: DataConfig, work: Path) -> Dataset:
    """Drop what cannot be learnt from, then split by label. The texts are then in the directory ``work``.

    Raises BuildError if too little is left, or ``work`` cannot be written to.
    """
    collected, table = collect(rows, config, work)
    duplicates = _find_duplicates(collected)
    kept = _keep(collected, duplicates)
    _require_enough(kept, collected)
    drawn = _draw(kept, collected)
    places = np.concatenate(list(drawn.values()))
    alike = find_near_duplicates(
        lambda place: table.text(places[place]),
        len(places),
        similarity=config.near_duplicate_similarity,
        seed=config.seed,
    )
    left = _without_near_duplicates(alike, drawn, collected) if config.near_duplicates == "drop" else drawn
    labels = [config.label_names.get(name, name) for name in kept.names]
    splits = {name: Split(table, kept.sets, rows, labels=len(labels), task=config.task) for name, rows in left.items()}
    _require_training(splits["train"], labels)
    return Dataset(
        task=config.task,
        labels=labels,
        splits=splits,
        rows=collected.rows,
        dropped=dict(sorted(collected.dropped.items())),
        mended=collected.mended.count,
        findings=describe(collected, table, duplicates, alike, drawn=drawn, splits=splits, labels=labels),
        slices=config.slices,
    )


def keep_all(rows: Iterable[Row], config: DataConfig, work: Path) -> tuple[list[str], Split]:
    """The labels and all usable texts, without duplicates and conflicts, in their order.

    Nothing is split, so there may be as few as they like. The texts are then in the directory ``work``.
    """
    collected, table = collect(rows, config, work)
    kept = _keep(collected, _find_duplicates(collected))
    labels = [config.label_names.get(name, name) for name in kept.names]
    return labels, Split(table, kept.sets, kept.rows, labels=len(labels), task=config.task)


@dataclass(frozen=True)
class _Kept:
    """``rows`` that stay, ascending; ``names`` of their labels in the final order, which ``sets`` are indices into."""

    rows: Indices
    names: list[str]
    sets: LabelSets


def _find_duplicates(collected: Collected) -> Duplicates:
    duplicates = find_duplicates(collected.forms(), collected.exact(), collected.combinations())
    collected.forget_forms()
    collected.dropped.update(duplicates.counts())
    return duplicates


def _keep(collected: Collected, duplicates: Duplicates) -> _Kept:
    rows, sets = duplicates.kept, collected.sets()
    present = set(np.unique(sets.flat(rows)[1]).tolist())
    names = _label_order({name for name, code in collected.names.items() if code in present}, collected.config)
    final = np.full(max(1, len(collected.names)), len(names), np.uint16)
    final[[collected.names[name] for name in names]] = np.arange(len(names))
    return _Kept(rows, names, LabelSets(final[sets.codes], sets.starts))


def _label_order(present: set[str], config: DataConfig) -> list[str]:
    """In the order of ``label_names`` where given, else sorted."""
    if config.label_names and (unknown := sorted(present.difference(config.label_names))):
        raise BuildError(
            f"The label {shown(unknown[0])!r} is in the data but not in data.label_names.",
            remedy="Name every label there, or none.",
        )
    return [label for label in config.label_names or sorted(present) if label in present]


def _require_enough(kept: _Kept, collected: Collected) -> None:
    path = shown(collected.config.path, 200)
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(collected.dropped.items())) or "none"
    if not len(kept.rows):
        raise BuildError(f"{path} has no usable row: {collected.rows} read; dropped: {dropped}.")
    if len(kept.names) < 2:
        found = f"only the label {shown(kept.names[0])!r}" if kept.names else "no label in any row"
        raise BuildError(
            f"{path} has {found}; a classifier needs at least two.",
            remedy=f"Check data.label and data.where. Dropped: {dropped}.",
        )
    counts = np.bincount(kept.sets.flat(kept.rows)[1], minlength=len(kept.names))
    rarest = int(np.argmin(counts))
    if counts[rarest] < len(SPLITS):
        raise BuildError(
            f"The label {shown(kept.names[rarest])!r} has {counts[rarest]} usable rows; each split needs at least one.",
            remedy="Add examples of it, or leave it out with data.where.",
        )


def _draw(kept: _Kept, collected: Collected) -> dict[str, Indices]:
    config = collected.config
    if config.task == "single-label":
        return draw(by_label(kept.rows, kept.sets, len(kept.names)), config)
    drawn = draw(by_combination(kept.rows, kept.sets, collected.combinations(), config), config)
    return complete_training(drawn, kept.sets, len(kept.names))


def _without_near_duplicates(
    alike: NearDuplicates, drawn: dict[str, Indices], collected: Collected
) -> dict[str, Indices]:
    """The splits without the training rows that have a near-duplicate in another split."""
    gone = alike.crossing(list(map(len, drawn.values())))[alike.groups][: len(drawn["train"])]
    collected.dropped["near duplicate"] += int(gone.sum())
    collected.dropped += Counter()  # no reason with a count of zero
    return drawn | {"train": drawn["train"][~gone]}


def _require_training(train: Split, labels: list[str]) -> None:
    seen = set(train.sets.flat(train.rows)[1].tolist())
    if lost := [label for index, label in enumerate(labels) if index not in seen]:
        raise BuildError(
            f"The label {shown(lost[0])!r} has no training text that is not a near-duplicate of one in dev or test.",
            remedy='Set data.near_duplicates = "report", or raise data.near_duplicate_similarity.',
        )
