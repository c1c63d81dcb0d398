"""From logits to probabilities that mean what they say: temperature scaling, and how far confidence is from accuracy.

Single-label answers are the largest of a softmax, multi-label answers every sigmoid of at least a half.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

from slipway.artifact import Task
from slipway.probabilities import calibrate

Logits = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float32]
Targets = npt.NDArray[np.int64] | npt.NDArray[np.uint8]

BINS = 15  # as in Guo et al. 2017, arXiv:1706.04599
COLDEST, HOTTEST = 0.05, 20.0
_FITTED_LOGITS = 20_000_000  # a temperature is one number: more logits than these move it by less than its rounding


def to_probabilities(logits: Logits, task: Task, temperature: float = 1.0) -> Probabilities:
    """What the predictor answers, shape (texts, labels); here NaN stays NaN and warns of nothing.

    >>> to_probabilities(np.zeros((1, 2), np.float32), "single-label").tolist()
    [[0.5, 0.5]]
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return calibrate(logits, temperature, task)


def decide(probabilities: Probabilities, task: Task) -> Targets:
    """The answers, in the form of targets: int64 of shape (texts,), or uint8 of shape (texts, labels)."""
    if task == "single-label":
        return np.asarray(probabilities.argmax(axis=1), np.int64)
    return np.asarray(probabilities >= 0.5, np.uint8)


def log_loss(logits: Logits, targets: Targets, task: Task, temperature: float = 1.0) -> float:
    """Mean of -log p in nats, over texts, or over all label decisions of a multi-label task; in float64."""
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = logits.astype(np.float64) / temperature
        if task == "single-label":
            return float(-log_softmax(scaled, axis=1)[np.arange(len(targets)), targets].mean())
        return float(-log_expit(np.where(targets == 1, scaled, -scaled)).mean())


def fit_temperature(logits: Logits, targets: Targets, task: Task) -> float:
    """The divisor of the logits that minimizes the log loss (temperature scaling, Guo et al. 2017).

    Kept within 0.05 and 20: on a split without an error the best one would be 0. 1 where the logits are not numbers.
    """
    rows = max(1, _FITTED_LOGITS // logits.shape[1])
    logits, targets = logits[:rows], targets[:rows]
    if not np.isfinite(logits).all():
        return 1.0
    found = minimize_scalar(
        lambda log_t: log_loss(logits, targets, task, float(np.exp(log_t))),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
    )
    return round(float(np.exp(found.x)), 4)


def reliability(probabilities: Probabilities, targets: Targets, task: Task) -> list[dict[str, float]]:
    """Mean confidence and accuracy of each of 15 equally wide bins of confidence that holds any answer.

    An answer is a text, in a multi-label task a decision about one label (``texts`` counts these). Empty for NaN.
    """
    return [
        {"confidence": confidence / texts, "accuracy": right / texts, "texts": int(texts)}
        for confidence, right, texts in _bins(probabilities, targets, task)
        if texts
    ]


def calibration_error(probabilities: Probabilities, targets: Targets, task: Task) -> float:
    """Mean gap between confidence and accuracy over the bins of ``reliability``, weighted by their answers.

    >>> calibration_error(np.array([[0.8, 0.2]] * 5), np.array([0, 0, 0, 0, 1]), "single-label") < 1e-6
    True
    """
    bins = _bins(probabilities, targets, task)
    if not bins:
        return float("nan")
    return sum(abs(confidence - right) for confidence, right, _ in bins) / sum(texts for *_, texts in bins)


def _bins(probabilities: Probabilities, targets: Targets, task: Task) -> list[tuple[float, float, float]]:
    """Summed confidence, right answers and answers by bin."""
    if not np.isfinite(probabilities).all():
        return []
    if task == "single-label":
        confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    else:
        confidence = np.maximum(probabilities, 1 - probabilities).ravel()
        right = ((probabilities >= 0.5) == targets).ravel()
    index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    sums = [np.bincount(index, weights, BINS).tolist() for weights in (confidence, right, np.ones(len(index)))]
    return list(zip(*sums, strict=True))
