"""What a training reads: token ids with targets, one row a text, from memory-mapped files where they are large."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from slipway.artifact import Task
from slipway.encoding import TokenIds
from slipway.network import pad

Targets = npt.NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """``targets`` is a label's index (int64, (texts,)) or a share of every label ((texts, labels)).

    Shares come from multi-label rows (0 or 1), from mixed texts and from teachers. ``smoothing`` of each target is
    spread over all labels (in a multi-label task towards one half).
    """

    tokens: Sequence[TokenIds]
    targets: Targets
    labels: int
    task: Task
    smoothing: float = 0.0

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.tokens[index], "labels": self.targets[index]}

    def collate(self, batch: Sequence[dict[str, Any]], pad_id: int) -> dict[str, Tensor]:
        """Padded ids (texts, tokens) and float32 targets (texts, labels)."""
        ids = torch.from_numpy(pad([row["input_ids"] for row in batch], pad_id)).long()
        targets = shares([row["labels"] for row in batch], self.labels)
        if self.smoothing:
            even = 0.5 if self.task == "multi-label" else 1 / self.labels
            targets = (1 - self.smoothing) * targets + np.float32(self.smoothing * even)
        return {"input_ids": ids, "labels": torch.from_numpy(targets)}


@dataclass(frozen=True)
class Joined(Sequence[TokenIds]):
    """Several sequences of token ids, one after the other, none of them copied."""

    parts: tuple[Sequence[TokenIds], ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: Any) -> Any:
        for part in self.parts:
            if index < len(part):
                return part[index]
            index -= len(part)
        raise IndexError(index)


def shares(targets: Sequence[Any] | Targets, labels: int) -> npt.NDArray[np.float32]:
    """Targets of either kind as float32 (texts, labels).

    >>> shares([1, 0], 3).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    given = np.asarray(targets)
    if given.ndim == 2:
        return given.astype(np.float32)
    spread = np.zeros((len(given), labels), np.float32)
    spread[np.arange(len(given)), given] = 1
    return spread


def balanced_weights(targets: Targets, labels: int) -> npt.NDArray[np.float32]:
    """What each label's loss is multiplied with, so that all weigh the same: texts / (labels * texts of it)."""
    counts = np.bincount(targets, minlength=labels) if targets.ndim == 1 else targets.sum(0)
    weights: npt.NDArray[np.float32] = (len(targets) / (labels * np.maximum(counts, 1))).astype(np.float32)
    return weights
