"""Labels that may be wrong: texts whose label a model of all the other texts does not believe (confident learning).

Northcutt et al. 2021, arXiv:1911.00068, as cleanlab computes it, on probabilities from five-fold cross-validation.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import compress
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.model_selection import KFold, StratifiedKFold

from model_build.evaluation.linear import Ngrams, fit_linear

Targets = npt.NDArray[Any]
Probabilities = npt.NDArray[np.float64]

EXAMINED = 20_000  # texts at most: more take many minutes, and a person reads fifty of them
_REGRESSED = 400_000  # texts times labels: of many labels a quarter as many texts is enough
_FOLDS = 5
_FEWEST = 20  # texts; a model of fewer knows nothing
_CHARACTERS = 1_000  # of a text that are read
_WEIGHTS = 20_000_000  # of the regressions of one fold together: 160 MB
_STRENGTH = 4.0


@dataclass(frozen=True)
class Suspect:
    """A text of the split at ``index`` with the labels given to it and those a model suggests.

    ``confidence`` is the probability, 0 to 1, of what was given; in a multi-label task, of its least likely label.
    """

    index: int
    text: str
    given: tuple[str, ...]
    suggested: tuple[str, ...]
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """For the report and JSON."""
        return asdict(self) | {"given": list(self.given), "suggested": list(self.suggested)}


@dataclass(frozen=True)
class Suspects(Sequence[Suspect]):
    """The least believed first. ``examined`` texts were looked at: 0 where there are too few to learn from."""

    found: tuple[Suspect, ...]
    examined: int

    def __len__(self) -> int:
        return len(self.found)

    @overload
    def __getitem__(self, index: int) -> Suspect: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Suspect]: ...
    def __getitem__(self, index: int | slice) -> Suspect | Sequence[Suspect]:
        return self.found[index]


def find_suspects(texts: Iterable[str], targets: Targets, labels: Sequence[str], *, count: int, seed: int) -> Suspects:
    """The ``count`` labels that look most wrong, of at most 20,000 texts drawn with ``seed``.

    With over 20 labels fewer are drawn, down to 5,000. ``targets`` are the label of each text, int64 (texts,), or 0 and
    1, uint8 (texts, labels). A label that only one of the texts drawn has, or lacks, is not judged.
    """
    chosen = _draw(targets, len(labels), seed)
    flags = _flags(targets[chosen], len(labels))
    judged = _judged(flags)
    if len(chosen) < _FEWEST or len(judged) < (2 if targets.ndim == 1 else 1):
        return Suspects((), 0)
    sample = _pick(texts, chosen)
    given, single = flags[:, judged], targets.ndim == 1
    probabilities = _cross_validate(_features(sample, len(judged)), given, single, seed)
    found = _doubt(given, probabilities, single)[:count]
    names = [labels[label] for label in judged.tolist()]
    suspects = (_suspect(int(chosen[row]), sample[row], given[row], probabilities[row], names, single) for row in found)
    return Suspects(tuple(suspects), len(chosen))


def _draw(targets: Targets, labels: int, seed: int) -> npt.NDArray[np.int64]:
    """Places of the texts that are looked at, ascending; those whose only label cannot be judged are left out."""
    most = min(EXAMINED, max(EXAMINED // 4, _REGRESSED // labels))
    drawn = np.random.default_rng(seed).permutation(len(targets))[:most]
    drawn.sort()
    if targets.ndim == 2:
        return drawn
    _, inverse, counts = np.unique(targets[drawn], return_inverse=True, return_counts=True)
    return drawn[counts[inverse] > 1]


def _flags(targets: Targets, labels: int) -> npt.NDArray[np.uint8]:
    return targets if targets.ndim == 2 else np.eye(labels, dtype=np.uint8)[targets]


def _judged(flags: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Labels that two texts have and two have not."""
    having = flags.sum(axis=0, dtype=np.int64)
    return np.flatnonzero((having > 1) & (having < len(flags) - 1))


def _pick(texts: Iterable[str], chosen: npt.NDArray[np.int64]) -> list[str]:
    wanted = set(chosen.tolist())
    return [text for place, text in enumerate(texts) if place in wanted]


def _features(texts: list[str], labels: int) -> csr_matrix:
    """tf-idf of n-grams; with many labels only of those that most texts have."""
    features = Ngrams(texts).fit([text[:_CHARACTERS] for text in texts])
    most = max(1_000, _WEIGHTS // labels)
    if features.shape[1] <= most:
        return features
    return features[:, np.sort(np.argsort(-features.getnnz(axis=0), kind="stable")[:most])]


def _cross_validate(features: csr_matrix, flags: npt.NDArray[np.uint8], single: bool, seed: int) -> Probabilities:
    """Probability of every label of a text, (texts, labels), by regressions that did not see it."""
    probabilities = np.zeros(flags.shape)
    for train, held_out in _folds(flags, single, seed):
        decide = fit_linear(features[train], flags[train], flags.shape[1], _STRENGTH, seed)
        probabilities[held_out] = 1 / (1 + np.exp(-np.clip(decide(features[held_out]), -30, 30)))
    return probabilities / probabilities.sum(axis=1, keepdims=True) if single else probabilities


def _folds(flags: npt.NDArray[np.uint8], single: bool, seed: int) -> Iterator[tuple[Targets, Targets]]:
    """Each label's texts in as many folds as can be, so that a label of two texts is learnt from either."""
    if not single:
        yield from KFold(_FOLDS, shuffle=True, random_state=seed).split(flags)
        return
    folds = min(_FOLDS, int(flags.sum(axis=0, dtype=np.int64).max()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a label has fewer texts than there are folds
        yield from StratifiedKFold(folds, shuffle=True, random_state=seed).split(flags, flags.argmax(axis=1))


def _doubt(flags: npt.NDArray[np.uint8], probabilities: Probabilities, single: bool) -> npt.NDArray[np.int64]:
    """Rows whose labels are probably wrong, the least believed first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cleanlab and what it imports tell of deprecations and of rare labels
        from cleanlab.filter import find_label_issues
        from cleanlab.multilabel_classification.filter import find_label_issues as find_multilabel_issues

        if single:
            issues = find_label_issues(flags.argmax(axis=1), probabilities, n_jobs=1)
        else:
            rows = [np.flatnonzero(row).tolist() for row in flags]
            issues = find_multilabel_issues(rows, probabilities, n_jobs=1)
    doubted = np.flatnonzero(issues)
    return doubted[np.argsort(_confidence(flags, probabilities, single)[doubted], kind="stable")]


def _confidence(flags: npt.NDArray[np.uint8], probabilities: Probabilities, single: bool) -> Probabilities:
    given = np.where(flags, probabilities, 1.0 if single else 1 - probabilities)
    return np.asarray(given.min(axis=1))


def _suspect(
    index: int, text: str, flags: npt.NDArray[np.uint8], probabilities: Probabilities, names: list[str], single: bool
) -> Suspect:
    best = np.arange(len(names)) == probabilities.argmax() if single else probabilities >= 0.5
    confidence = float(_confidence(flags[None], probabilities[None], single)[0])
    return Suspect(index, text, tuple(compress(names, flags)), tuple(compress(names, best)), confidence)
