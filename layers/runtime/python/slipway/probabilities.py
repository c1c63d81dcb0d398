"""Logits to probabilities, in float64 and without overflow."""

import math
from typing import Any

import numpy as np

from slipway.artifact import Task

_Floats = np.ndarray[tuple[Any, ...], np.dtype[np.floating]]  # see ``encoding.TokenIds``
Probabilities = np.ndarray[tuple[Any, ...], np.dtype[np.float32]]
Logits = Probabilities

_FEW_LABELS = 8  # up to which Python's own softmax is used


def calibrate(logits: Logits, temperature: float, task: Task) -> Probabilities:
    """Probabilities (texts, labels): softmax over the labels, or in a multi-label task a sigmoid of each.

    >>> calibrate(np.array([[0.0, 0.0]], np.float32), 1.0, "multi-label").tolist()
    [[0.5, 0.5]]
    """
    # In float32 a small temperature makes infinities of large logits, and their difference is no number.
    if task == "multi-label":
        return sigmoid(np.divide(logits, temperature, dtype=np.float64))
    if logits.shape[1] > _FEW_LABELS:
        return softmax(np.divide(logits, temperature, dtype=np.float64))
    rows = [[logit / temperature for logit in row] for row in logits.tolist()]
    return np.array([_softmax(row) for row in rows], np.float32)


def sigmoid(logits: _Floats) -> Probabilities:
    """1 / (1 + exp(-x)) in float64, returned as float32; far from zero it is 0 or 1 and no overflow."""
    probabilities: Probabilities = (0.5 + 0.5 * np.tanh(0.5 * logits.astype(np.float64))).astype(np.float32)
    return probabilities


def softmax(logits: _Floats) -> Probabilities:
    """Row-wise softmax in float64, returned as float32.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    highest = np.maximum.reduce(logits, axis=-1, keepdims=True)
    shifted = np.exp(np.subtract(logits, highest, dtype=np.float64))
    probabilities: Probabilities = (shifted / np.add.reduce(shifted, axis=-1, keepdims=True)).astype(np.float32)
    return probabilities


def _softmax(row: list[float]) -> list[float]:
    """``softmax`` for few labels, which numpy takes longer for: right after a run all of its code is cold."""
    highest = max(row)
    shifted = [math.exp(logit - highest) for logit in row]
    whole = sum(shifted)
    return [each / whole for each in shifted]
