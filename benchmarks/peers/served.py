"""What the peers' servers share: our predictor, so that servers are compared and not models, and how they end."""

import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from slipway.loading import load_predictor


class Scored(NamedTuple):
    """One text's answer: the likeliest label, its probability, and those of all labels in the manifest's order."""

    label: str
    score: float
    scores: list[float]


class Scorer:
    """Texts of one batch to their answers: encoding, packs under the token budget, softmax and label, all ours.

    Each batch appends the number of its texts as a line to ``batches``; several processes may write to one file.
    """

    def __init__(self, artifact: Path, batches: Path) -> None:
        self._predictor = load_predictor(artifact)
        self._labels = self._predictor.manifest.labels
        self._batches = os.open(batches, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def __call__(self, texts: Sequence[str]) -> list[Scored]:
        os.write(self._batches, b"%d\n" % len(texts))
        return [self._scored(each.probabilities.tolist()) for each in self._predictor.predict(texts)]

    def _scored(self, scores: list[float]) -> Scored:
        first = max(range(len(scores)), key=scores.__getitem__)
        return Scored(self._labels[first], scores[first], scores)


def end_with_parent() -> None:
    """From now on this process's group ends when standard input is closed, as it is when whoever started it ends.

    The process must lead a group of its own: frameworks start processes of theirs, and none of them may stay.
    """
    if os.getpgrp() != os.getpid():
        raise RuntimeError("This process leads no group: start it with start_new_session=True.")
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(0, 1):  # not sys.stdin: its lock, held here, would stop a process that is forked meanwhile
        pass
    os.killpg(0, signal.SIGKILL)
