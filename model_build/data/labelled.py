"""Labelled text to hold an artifact against, with targets in the order of the artifact's labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_build.config import BuildConfig
from model_build.data.clean import SPLITS, Split, clean, keep_all
from model_build.data.read import read_rows
from model_build.training.rows import Targets
from slipway.artifact import Task
from slipway.errors import BuildError


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """``labels`` are the artifact's. ``fingerprint`` is the dataset's, None where nothing was split."""

    texts: list[str]
    targets: Targets
    task: Task
    labels: list[str]
    split: str
    fingerprint: str | None


def read_labelled(config: BuildConfig, split: str, known: list[str], work: Path) -> Labelled:
    """``split`` of the data that ``config`` names, or ``all`` of it, which may be as small as it likes.

    ``known`` are the artifact's labels. Raises BuildError for an unknown split, no usable row, or an unknown label.
    """
    if split not in (*SPLITS, "all"):
        raise BuildError(f"There is no split {split!r}.", remedy=f"Splits: {', '.join(SPLITS)}, all.")
    rows, fingerprint = read_rows(config.data), None
    if split == "all":
        labels, examples = keep_all(rows, config.data, work)
    else:
        dataset = clean(rows, config.data, work)
        labels, examples, fingerprint = dataset.labels, dataset.splits[split], dataset.fingerprint()
    if not len(examples):
        raise BuildError(f"{config.data.path} has no usable row in the split {split}.")
    if unknown := [label for label in labels if label not in known]:
        raise BuildError(f"The data has the label {unknown[0]!r}; the artifact knows {', '.join(known)}.")
    return Labelled(
        texts=list(examples.texts()),
        targets=_in_order(examples, [known.index(label) for label in labels], len(known)),
        task=config.data.task,
        labels=known,
        split=split,
        fingerprint=fingerprint,
    )


def _in_order(examples: Split, places: list[int], labels: int) -> Targets:
    """Targets with label ``k`` of the data at ``places[k]``."""
    targets = examples.targets()
    if targets.ndim == 1:
        return np.take(np.asarray(places, np.int64), targets)
    ordered = np.zeros((len(targets), labels), np.uint8)
    ordered[:, places] = targets
    return ordered
