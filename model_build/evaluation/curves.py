"""How well scores rank texts: ROC and precision-recall, as areas and as points to draw."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import auc, confusion_matrix_at_thresholds

from model_build.evaluation.calibration import Probabilities, Targets

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LABELS = 10
POINTS = 60
_MICRO_DECISIONS = 1_000_000  # more of them move no pixel of the micro average


def areas(scores: Probabilities, given: Flags) -> dict[str, float | None]:
    """Area under the ROC curve and average precision of one label; None where all texts, or none, have it, and for NaN.

    >>> areas(np.array([0.9, 0.2, 0.1]), np.array([True, False, False]))
    {'roc_auc': 1.0, 'average_precision': 1.0}
    """
    ranking = _rank(scores, given)
    if ranking is None:
        return {"roc_auc": None, "average_precision": None}
    roc_auc = auc(np.append(0, ranking.false_positive_rate), np.append(0, ranking.recall))
    steps = np.diff(ranking.recall, prepend=0)
    return {"roc_auc": float(roc_auc), "average_precision": float((steps * ranking.precision).sum())}


def curves(probabilities: Probabilities, targets: Targets) -> dict[str, Any]:
    """Points, at most 60 a curve, of the ten most frequent labels (by index) and of the micro average.

    ``roc`` is [false positive rate, recall], ``pr`` is [recall, precision]; None where ``areas`` has none.
    """
    labels = probabilities.shape[1]
    texts = np.bincount(targets, minlength=labels) if targets.ndim == 1 else targets.sum(axis=0, dtype=np.int64)
    frequent = np.argsort(-texts, kind="stable")[:LABELS].tolist()
    rows = max(1, _MICRO_DECISIONS // labels)
    given = [has_label(targets[:rows], label) for label in range(labels)]
    return {
        "labels": [{"label": k, **_points(_rank(probabilities[:, k], has_label(targets, k)))} for k in frequent],
        "micro": _points(_rank(probabilities[:rows].ravel(), np.stack(given, axis=1).ravel())),
    }


def has_label(targets: Targets, label: int) -> Flags:
    """Which texts have ``label``; shape (texts,)."""
    return np.asarray(targets == label if targets.ndim == 1 else targets[:, label] == 1)


@dataclass(frozen=True)
class _Ranking:
    """A point for each distinct score, from the highest down."""

    false_positive_rate: Floats
    recall: Floats
    precision: Floats


def _rank(scores: Probabilities, given: Flags) -> _Ranking | None:
    if given.all() or not given.any() or not np.isfinite(scores).all():
        return None
    tn, fp, fn, tp, _ = confusion_matrix_at_thresholds(given, scores)
    return _Ranking(fp / (fp + tn), tp / (tp + fn), tp / (tp + fp))


def _points(ranking: _Ranking | None) -> dict[str, list[list[float]] | None]:
    if ranking is None:
        return {"roc": None, "pr": None}
    roc = np.column_stack([np.append(0, ranking.false_positive_rate), np.append(0, ranking.recall)])
    return {"roc": _thin(roc), "pr": _thin(np.column_stack([ranking.recall, ranking.precision]))}


def _thin(points: Floats) -> list[list[float]]:
    """At most 60 of ``points``, evenly far apart along the curve, both ends among them."""
    if len(points) > POINTS:
        along = np.append(0, np.abs(np.diff(points, axis=0)).sum(axis=1).cumsum())
        points = points[np.unique(np.searchsorted(along, np.linspace(0, along[-1], POINTS)))]
    return [[round(x, 5), round(y, 5)] for x, y in points.tolist()]
