"""Logits with targets that were drawn from the very probabilities they stand for, of either task."""

import numpy as np
import numpy.typing as npt
import scipy.special

from slipway.artifact import Task

Drawn = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64] | npt.NDArray[np.uint8]]


def drawn(seed: int, texts: int, labels: int = 3, *, task: Task = "single-label", scale: float = 2) -> Drawn:
    """Perfectly calibrated at temperature 1."""
    numbers = np.random.default_rng(seed)
    logits = (numbers.normal(size=(texts, labels)) * scale).astype(np.float32)
    if task == "multi-label":
        return logits, (numbers.random((texts, labels)) < scipy.special.expit(logits)).astype(np.uint8)
    cumulated = scipy.special.softmax(logits.astype(np.float64), axis=1).cumsum(axis=1)
    chosen = (numbers.random((texts, 1)) > cumulated).sum(axis=1)
    return logits, np.minimum(chosen, labels - 1).astype(np.int64)
