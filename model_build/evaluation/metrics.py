"""What answers are worth, from probabilities and targets alone.

``probabilities`` are float32 of shape (texts, labels); ``targets`` are int64 of shape (texts,), or in a multi-label
task uint8 of shape (texts, labels). A network that gives NaN has no numbers: NaN or None, never one that looks good.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix

from model_build.evaluation.calibration import Probabilities, Targets, calibration_error, decide
from model_build.evaluation.curves import areas, has_label
from slipway.artifact import Task

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Right positives, predicted and given texts by label; the last axis is the labels."""

    right: Floats
    predicted: Floats
    given: Floats

    def precision(self) -> Floats:
        return _share(self.right, self.predicted)

    def recall(self) -> Floats:
        return _share(self.right, self.given)

    def f1(self) -> Floats:
        return _share(2 * self.right, self.predicted + self.given)

    def macro(self, values: Floats) -> Floats:
        """Mean over the labels that are given or predicted at all: of the others nothing is known."""
        occurs = self.predicted + self.given > 0
        return _share((values * occurs).sum(-1), occurs.sum(-1))

    def total(self) -> "Counts":
        """The counts of the micro average."""
        right, predicted, given = (np.asarray(part.sum(-1)) for part in (self.right, self.predicted, self.given))
        return Counts(right, predicted, given)

    def by_label(self) -> list[tuple[float, float, float]]:
        return list(zip(self.right.tolist(), self.predicted.tolist(), self.given.tolist(), strict=True))


def summary(probabilities: Probabilities, targets: Targets, task: Task) -> dict[str, float]:
    """Accuracy (multi-label: of the whole set), precision, recall and F1 (macro and micro), log loss in nats, and more.

    All are shares of 1 but the log loss; what divides by nothing is 0. ``hamming_loss`` is for multi-label tasks.
    """
    answers = decide(probabilities, task)
    counts = count(answers, targets, probabilities.shape[1], task)
    micro = counts.total()
    by_label = {"precision": counts.precision(), "recall": counts.recall(), "f1": counts.f1()}
    measured = {
        "accuracy": float(is_right(answers, targets).mean()),
        **{f"macro_{name}": float(counts.macro(values)) for name, values in by_label.items()},
        "micro_precision": float(micro.precision()),
        "micro_recall": float(micro.recall()),
        "micro_f1": float(micro.f1()),
        "log_loss": log_loss(probabilities, targets, task),
        "calibration_error": calibration_error(probabilities, targets, task),
    }
    if task == "multi-label":
        measured["hamming_loss"] = float((answers != targets).mean())
    return measured if np.isfinite(probabilities).all() else dict.fromkeys(measured, float("nan"))


def count(answers: Targets, targets: Targets, labels: int, task: Task) -> Counts:
    """What precision, recall and F1 are made of."""
    if task == "single-label":
        pairs = (targets[answers == targets], answers, targets)
        return Counts(*(np.bincount(part, minlength=labels).astype(np.float64) for part in pairs))
    return Counts(*(part.sum(axis=0).astype(np.float64) for part in (answers & targets, answers, targets)))


def is_right(answers: Targets, targets: Targets) -> npt.NDArray[np.bool_]:
    """Whether each text has the very label, or the very set of labels, that was given; shape (texts,)."""
    same = answers == targets
    return np.asarray(same if same.ndim == 1 else same.all(axis=1))


def log_loss(probabilities: Probabilities, targets: Targets, task: Task) -> float:
    """Mean of -log p in nats, over texts or over all label decisions; at most 15.9, where float32 ends before 1."""
    epsilon = float(np.finfo(np.float32).eps)
    if task == "single-label":
        given = probabilities[np.arange(len(targets)), targets]
    else:
        given = np.where(targets == 1, probabilities, 1 - probabilities)
    return float(-np.log(np.clip(given, epsilon, 1 - epsilon)).mean(dtype=np.float64))


def classes(probabilities: Probabilities, targets: Targets, task: Task) -> list[dict[str, float | None]]:
    """By label: texts, how often it was predicted, precision, recall, F1, area under ROC, average precision.

    None is what cannot be said: the recall of a label without texts, the ROC of one without other texts.
    """
    counts = count(decide(probabilities, task), targets, probabilities.shape[1], task)
    finite = bool(np.isfinite(probabilities).all())
    return [
        {
            "texts": int(given),
            "predicted": int(predicted),
            "precision": right / predicted if finite and predicted else None,
            "recall": right / given if finite and given else None,
            "f1": 2 * right / (given + predicted) if finite and given + predicted else None,
            **areas(probabilities[:, label], has_label(targets, label)),
        }
        for label, (right, predicted, given) in enumerate(counts.by_label())
    ]


def confusion(probabilities: Probabilities, targets: Targets, task: Task) -> list[list[int]] | None:
    """Rows are given labels, columns predicted ones. None in a multi-label task: no label is taken for another."""
    if task == "multi-label" or not np.isfinite(probabilities).all():
        return None
    labels = range(probabilities.shape[1])
    matrix: list[list[int]] = confusion_matrix(targets, decide(probabilities, task), labels=labels).tolist()
    return matrix


def _share(part: Floats, whole: Floats) -> Floats:
    """``part / whole``, and 0 where ``whole`` is."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)
