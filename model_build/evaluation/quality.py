"""All that a report shows of one split: how good the answers are, how sure they are, and where they go wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model_build.evaluation import metrics
from model_build.evaluation.calibration import (
    Logits,
    Probabilities,
    Targets,
    calibration_error,
    decide,
    reliability,
    to_probabilities,
)
from model_build.evaluation.curves import curves
from model_build.evaluation.intervals import intervals
from model_build.evaluation.robustness import robustness
from model_build.evaluation.slices import slices
from slipway.artifact import Task

SHORTENED = 300  # characters of a text in a report
_CONFUSION_LABELS = 100  # a larger matrix is neither drawn nor read
_CONFUSED_PAIRS = 20
_SELECTIVE_POINTS = 25
_CONFIDENT_ERRORS, _NEAR_ERRORS = 15, 5

Confidence = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """One split, in numbers and lists that JSON can hold; None stands for what cannot be said.

    ``confusion`` is there for single-label tasks of up to 100 labels, ``confused`` are its largest cells off the
    diagonal. ``selective`` is the accuracy of the answers at least as sure as ``threshold``, and their share
    (``coverage``); a multi-label answer is as sure as its least sure label.
    """

    texts: int
    summary: dict[str, float]
    intervals: dict[str, list[float]]
    classes: list[dict[str, Any]]
    confusion: list[list[int]] | None
    confused: list[dict[str, Any]]
    curves: dict[str, Any]
    calibration: dict[str, Any]
    selective: list[dict[str, float]]
    slices: list[dict[str, Any]]
    robustness: list[dict[str, Any]]
    errors: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes None."""
        content: dict[str, Any] = _without_nan(asdict(self))
        return content


def assess(  # noqa: PLR0913 - what is known of a split, spelled out
    logits: Logits,
    targets: Targets,
    *,
    task: Task,
    temperature: float,
    labels: Sequence[str],
    texts: Sequence[str],
    tokens: Sequence[int],
    columns: Mapping[str, Sequence[str]],
    predict: Callable[[Sequence[str]], Logits] | None = None,
) -> Quality:
    """Judge ``logits`` of shape (texts, labels) by ``targets``.

    ``tokens`` are the lengths of the texts, ``columns`` the values to slice by. ``predict`` answers other texts with
    logits, for the robustness; without it there is none.
    """
    probabilities = to_probabilities(logits, task, temperature)
    answers = decide(probabilities, task)
    right, sure = metrics.is_right(answers, targets), confidence(probabilities, task)
    finite = bool(np.isfinite(probabilities).all())
    spread = intervals(answers, targets, len(labels), task) if finite else {}
    return Quality(
        texts=len(targets),
        summary=metrics.summary(probabilities, targets, task),
        intervals={name: list(bounds) for name, bounds in spread.items()},
        classes=_with_names(metrics.classes(probabilities, targets, task), labels),
        confusion=metrics.confusion(probabilities, targets, task) if len(labels) <= _CONFUSION_LABELS else None,
        confused=confused(answers, targets, labels) if task == "single-label" and finite else [],
        curves=_with_curve_names(curves(probabilities, targets), labels),
        calibration=_calibration(logits, targets, task, temperature),
        selective=selective(sure, right) if finite else [],
        slices=slices(right, texts, tokens, columns) if finite else [],
        robustness=robustness(texts, targets, task, predict) if predict else [],
        errors=worth_reading(answers, targets, sure, texts, labels) if finite else [],
    )


def confidence(probabilities: Probabilities, task: Task) -> Confidence:
    """How sure each answer is; of a multi-label answer, its least sure label. Shape (texts,)."""
    if task == "multi-label":
        return np.asarray(np.maximum(probabilities, 1 - probabilities).min(axis=1), np.float64)
    return np.asarray(probabilities.max(axis=1), np.float64)


def selective(sure: Confidence, right: npt.NDArray[np.bool_]) -> list[dict[str, float]]:
    """Threshold of confidence, share of texts that reach it, and their accuracy: what abstaining would gain.

    >>> selective(np.array([0.9, 0.6]), np.array([True, False]))[-1]
    {'threshold': 0.9, 'coverage': 0.5, 'accuracy': 1.0}
    """
    order = np.argsort(-sure, kind="stable")
    descending, hits = sure[order], right[order].cumsum()
    wanted = np.linspace(1, 1 / _SELECTIVE_POINTS, _SELECTIVE_POINTS) * len(sure)
    thresholds = np.unique(descending[np.ceil(wanted).astype(int) - 1])
    covered = np.searchsorted(-descending, -thresholds, side="right")
    return [
        {"threshold": threshold, "coverage": int(texts) / len(sure), "accuracy": float(hits[texts - 1] / texts)}
        for threshold, texts in zip(thresholds.tolist(), covered, strict=True)
    ]


def confused(answers: Targets, targets: Targets, labels: Sequence[str]) -> list[dict[str, Any]]:
    """The labels most often taken for one another, with the texts it happened to."""
    wrong = answers != targets
    pairs, texts = np.unique(np.column_stack([targets[wrong], answers[wrong]]), axis=0, return_counts=True)
    return [
        {"given": labels[pairs[k][0]], "predicted": labels[pairs[k][1]], "texts": int(texts[k])}
        for k in np.argsort(-texts, kind="stable")[:_CONFUSED_PAIRS]
    ]


def worth_reading(
    answers: Targets, targets: Targets, sure: Confidence, texts: Sequence[str], labels: Sequence[str]
) -> list[dict[str, Any]]:
    """Wrong answers: the surest first (labels to doubt, or what was not learnt), then the least sure (near misses)."""
    wrong = np.flatnonzero(~metrics.is_right(answers, targets))
    by_sureness = wrong[np.argsort(-sure[wrong], kind="stable")]
    confident, rest = by_sureness[:_CONFIDENT_ERRORS], by_sureness[_CONFIDENT_ERRORS:]
    kinds = [*[("confident", k) for k in confident], *[("near", k) for k in rest[::-1][:_NEAR_ERRORS]]]
    return [
        {
            "kind": kind,
            "text": shorten(texts[int(k)]),
            "given": name_labels(targets[k], labels),
            "predicted": name_labels(answers[k], labels),
            "score": float(sure[k]),
        }
        for kind, k in kinds
    ]


def name_labels(answer: Any, labels: Sequence[str]) -> str:
    """One answer in words: the label of an index, or the labels of a row of 0 and 1.

    >>> name_labels(np.array([1, 0, 1], np.uint8), ["a", "b", "c"])
    'a, c'
    """
    if np.ndim(answer) == 0:
        return labels[int(answer)]
    return ", ".join(labels[k] for k in np.flatnonzero(answer).tolist()) or "none"


def shorten(text: str) -> str:
    """One line of at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= SHORTENED else f"{line[: SHORTENED - 1]}…"


def _calibration(logits: Logits, targets: Targets, task: Task, temperature: float) -> dict[str, Any]:
    told: dict[str, Any] = {"temperature": temperature}
    for name, divisor in (("before", 1.0), ("after", temperature)):
        probabilities = to_probabilities(logits, task, divisor)
        bins = reliability(probabilities, targets, task)
        told[name] = {"error": calibration_error(probabilities, targets, task), "bins": bins}
    return told


def _with_names(classes: list[dict[str, float | None]], labels: Sequence[str]) -> list[dict[str, Any]]:
    return [{"label": label, **row} for label, row in zip(labels, classes, strict=True)]


def _with_curve_names(found: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    return found | {"labels": [row | {"label": labels[row["label"]]} for row in found["labels"]]}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
