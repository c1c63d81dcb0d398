"""Which rows go to which split: seeded, and by label, so that each split has its share of each."""

import random
from array import array
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from model_build.data.splits import SPLITS, Indices, LabelSets
from model_build.sections import DataConfig

_PARTS = len(SPLITS)


def draw(strata: Iterable[Indices], config: DataConfig) -> dict[str, Indices]:
    """Shuffle each stratum's rows with the seed and cut them at the same shares; shuffle the splits in turn.

    Of three rows or more at least one comes into each split; fewer are trained on.
    """
    chooser = random.Random(config.seed)  # noqa: S311 - reproducible, not secret
    parts: dict[str, list[Indices]] = {name: [] for name in SPLITS}
    for stratum in strata:
        shuffled = shuffle(stratum, chooser)
        test, dev = (max(1, round(share * len(stratum))) for share in (config.test, config.dev))
        cuts = [test, test + dev] if len(stratum) >= _PARTS else [0, 0]
        for name, part in zip(("test", "dev", "train"), np.split(shuffled, cuts), strict=True):
            parts[name].append(part)
    return {name: shuffle(np.concatenate(found), chooser) for name, found in parts.items()}


def shuffle(rows: Indices, chooser: random.Random) -> Indices:
    """The order that ``chooser.sample(rows, len(rows))`` gives, in 16 bytes a row: published numbers depend on it."""
    pool, shuffled = array("q", rows.astype(np.int64).tobytes()), array("q", bytes(8 * len(rows)))
    for place, left in enumerate(range(len(rows), 0, -1)):
        chosen = chooser.randrange(left)
        shuffled[place] = pool[chosen]
        pool[chosen] = pool[left - 1]
    return np.frombuffer(shuffled, np.int64)


def by_label(rows: Indices, sets: LabelSets, labels: int) -> list[Indices]:
    """The rows of each label of a single-label task."""
    codes = sets.codes[rows]
    return [rows[codes == label] for label in range(labels)]


def by_combination(rows: Indices, sets: LabelSets, combinations: Indices, config: DataConfig) -> list[Indices]:
    """For a multi-label task: rows of the same set of labels, where dev and test get a whole row of it by their shares.

    Rows of rarer sets go with those of the same rarest label; Sechidis et al. 2011, doi:10.1007/978-3-642-23808-6_10,
    begin with the rarest label as well. Whole sets keep what labels have to do with each other.
    """
    _, begins, inverse, counts = np.unique(
        combinations[rows], return_index=True, return_inverse=True, return_counts=True
    )
    frequent = counts[inverse] * min(config.dev, config.test) >= 1
    keys = np.where(frequent, begins[inverse], -1 - _rarest(rows, sets))  # a set by its first row, a label below zero
    order = np.argsort(keys, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(keys[order])) + 1)


def complete_training(drawn: dict[str, Indices], sets: LabelSets, labels: int) -> dict[str, Indices]:
    """Move a row to the training split for each label that has none there: what is never seen is never learnt."""
    moved = dict(drawn)
    for label in np.setdiff1d(np.arange(labels), sets.flat(drawn["train"])[1]):
        if not _has(moved["train"], sets, label).any():  # a row moved for another label may have brought it
            name = max(("test", "dev"), key=lambda name: int(_has(moved[name], sets, label).sum()))
            place = int(np.argmax(_has(moved[name], sets, label)))
            moved["train"] = np.append(moved["train"], moved[name][place])
            moved[name] = np.delete(moved[name], place)
    return moved


def _rarest(rows: Indices, sets: LabelSets) -> Indices:
    """The rarest label of each row, by how many rows have it; one past the last where there is none."""
    positions, codes = sets.flat(rows)
    frequency = np.bincount(codes)
    by_rarity = np.argsort(frequency, kind="stable")
    ranks = np.empty_like(by_rarity)
    ranks[by_rarity] = np.arange(len(by_rarity))
    lowest = np.full(len(rows), len(by_rarity))
    np.minimum.at(lowest, positions, ranks[codes])
    rarest: Indices = np.append(by_rarity, len(by_rarity))[lowest]
    return rarest


def _has(rows: Indices, sets: LabelSets, label: int) -> npt.NDArray[np.bool_]:
    positions, codes = sets.flat(rows)
    found = np.zeros(len(rows), bool)
    found[positions[codes == label]] = True
    return found
