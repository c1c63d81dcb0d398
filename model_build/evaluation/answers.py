"""What logits answer, and how far they are from answering something else, in both kinds of task.

Single-label: the label with the largest logit. Multi-label: the set of labels whose logit is at least 0, which is a
probability of 0.5 at any temperature.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.artifact import Task
from slipway.probabilities import Logits

Answers = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]


def answers(logits: Logits, task: Task) -> Answers:
    """Labels of shape (texts,), or of shape (texts, labels) with 1 for each that is given.

    >>> answers(np.array([[-1.0, 2.0, 0.5]]), "multi-label").tolist()
    [[0, 1, 1]]
    """
    return logits.argmax(1) if task == "single-label" else (logits >= 0).astype(np.uint8)


def equal_answers(first: Answers, second: Answers) -> Flags:
    """Which texts have the same label, or the same whole set of labels; shape (texts,)."""
    same: Flags = np.logical_and.reduce((first == second).reshape(len(first), -1), axis=1)
    return same


def same_answers(logits: Logits, reference: Logits, task: Task) -> Flags:
    """Which texts get the same answer from both; shape (texts,). What is not a number is no answer."""
    usable = np.isfinite(logits).all(1) & np.isfinite(reference).all(1)
    return usable & equal_answers(answers(logits, task), answers(reference, task))


def margins(logits: Logits, task: Task) -> Logits:
    """How far each text is from another answer; shape (texts,).

    Single-label: by how much the best logit leads the second. Multi-label: the logit that is nearest to 0.

    >>> margins(np.array([[1.0, 3.0, 2.5]]), "single-label").tolist()
    [0.5]
    >>> margins(np.array([[1.0, 3.0, -0.25]]), "multi-label").tolist()
    [0.25]
    """
    if task == "multi-label":
        nearest: Logits = np.abs(logits).min(1)
        return nearest
    best = np.partition(logits, -2, axis=1)[:, -2:]
    return best[:, 1] - best[:, 0]


def movements(logits: Logits, reference: Logits, task: Task) -> Logits:
    """By how much the margin of each text can have changed at the most; shape (texts,).

    >>> movements(np.array([[1.0, 3.0]]), np.array([[0.5, 2.0]]), "single-label").tolist()
    [0.5]
    """
    moved = logits - reference
    movement: Logits = np.abs(moved).max(1) if task == "multi-label" else np.ptp(moved, axis=1)
    return movement
