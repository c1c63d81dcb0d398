"""What a student learns from its teachers: soft targets for labelled and unlabelled texts.

The targets are the teachers' mean logits at a temperature (Hinton et al. 2015, arXiv:1503.02531), mixed with the label
where there is one.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from model_build.sections import DistilConfig
from model_build.training.rows import Targets, shares
from slipway.artifact import Task
from slipway.encoding import TokenIds
from slipway.network import Network
from slipway.probabilities import Logits, sigmoid, softmax


def teacher_logits(
    graph: Path, rows: Sequence[TokenIds], *, pad_id: int, threads: int, saved: Path, chunk: int = 4_096
) -> Logits:
    """Logits (rows, labels) of a teacher's fp32 graph, kept in ``saved``, so that a killed build asks only once.

    Runs through onnxruntime, in packs: about twice as fast as torch on a CPU.
    """
    if saved.exists():
        logits: Logits = np.load(saved)
        return logits
    network = Network(graph, pad_id=pad_id, threads=threads)
    logits = np.concatenate([network.logits(part) for part in _chunks(rows, chunk)])
    partial = saved.with_suffix(".partial.npy")
    np.save(partial, logits)
    partial.rename(saved)
    return logits


def soft_targets(logits: Sequence[Logits], gold: Targets, config: DistilConfig, *, labels: int, task: Task) -> Targets:
    """Shares (rows, labels), float32: the first ``len(gold)`` rows are labelled, the others are the teachers' alone.

    >>> even = [np.zeros((2, 2), np.float32)]
    >>> soft_targets(even, np.array([1]), DistilConfig(gold=0.5), labels=2, task="single-label").tolist()
    [[0.25, 0.75], [0.5, 0.5]]
    """
    mean = np.mean(logits, axis=0) / config.temperature
    taught = softmax(mean) if task == "single-label" else sigmoid(mean)
    taught[: len(gold)] = config.gold * shares(gold, labels) + (1 - config.gold) * taught[: len(gold)]
    targets: Targets = taught.astype(np.float32)
    return targets


def _chunks(rows: Sequence[TokenIds], size: int) -> Iterable[list[TokenIds]]:
    for start in range(0, len(rows), size):
        yield [rows[index] for index in range(start, min(start + size, len(rows)))]
