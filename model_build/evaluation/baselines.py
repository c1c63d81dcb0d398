"""What a model must beat to be worth its cost: the most frequent answer, and tf-idf with a logistic regression."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_build.evaluation.calibration import Targets
from model_build.evaluation.intervals import intervals
from model_build.evaluation.linear import Decide, Ngrams, Scores, fit_linear
from model_build.evaluation.metrics import count, is_right
from slipway.artifact import Task

TRAINED, TESTED = 200_000, 100_000  # texts; more cost minutes and move the accuracy by less than its error
_STRENGTHS = (1.0, 4.0)


def baselines(
    train_texts: Iterable[str],
    train_targets: Targets,
    test_texts: Iterable[str],
    test_targets: Targets,
    *,
    task: Task,
    labels: Sequence[str],
    seed: int,
    dev: tuple[Iterable[str], Targets] | None = None,
) -> list[dict[str, Any]]:
    """Name, accuracy with its 95 % interval, macro F1, seconds of work and a note, for each baseline.

    At most 200,000 training and 100,000 test texts are used. The strength of the regularization is chosen on ``dev``.
    """
    trial = _Trial(
        train=_Sample.draw(train_texts, train_targets, TRAINED, seed),
        dev=_Sample.draw(*dev, TESTED, seed) if dev else None,
        test=_Sample.draw(test_texts, test_targets, TESTED, seed),
        task=task,
        labels=labels,
        seed=seed,
    )
    return [
        _measured("most frequent answer", _most_frequent, trial),
        _measured("tf-idf + logistic regression", _linear, trial),
    ]


@dataclass(frozen=True)
class _Sample:
    """Texts of one split, or some of them, with their targets."""

    texts: list[str]
    targets: Targets
    of: int

    @classmethod
    def draw(cls, texts: Iterable[str], targets: Targets, most: int, seed: int) -> "_Sample":
        """At most ``most``; ``texts`` are streamed and may be too many for memory."""
        if len(targets) <= most:
            return cls(list(texts), targets, len(targets))
        chosen = np.sort(np.random.default_rng(seed).choice(len(targets), most, replace=False))
        wanted = set(chosen.tolist())
        return cls([text for index, text in enumerate(texts) if index in wanted], targets[chosen], len(targets))

    def __str__(self) -> str:
        return (
            f"{len(self.texts):,} texts" if len(self.texts) == self.of else f"{len(self.texts):,} of {self.of:,} texts"
        )


@dataclass(frozen=True, kw_only=True)
class _Trial:
    train: _Sample
    dev: _Sample | None
    test: _Sample
    task: Task
    labels: Sequence[str]
    seed: int


def _measured(name: str, answer: Callable[[_Trial], tuple[Targets, str]], trial: _Trial) -> dict[str, Any]:
    start = time.perf_counter()
    answers, note = answer(trial)
    seconds = time.perf_counter() - start
    given, labels = trial.test.targets, len(trial.labels)
    counts = count(answers, given, labels, trial.task)
    return {
        "name": name,
        "accuracy": float(is_right(answers, given).mean()),
        "macro_f1": float(counts.macro(counts.f1())),
        "interval": list(intervals(answers, given, labels, trial.task)["accuracy"]),
        "seconds": round(seconds, 2),
        "note": f"{note}; trained on {trial.train}, tested on {trial.test}",
    }


def _most_frequent(trial: _Trial) -> tuple[Targets, str]:
    """The label, in a multi-label task the set of labels, that most training texts have."""
    found, texts = np.unique(trial.train.targets, axis=0, return_counts=True)
    answer = found[texts.argmax()]
    named = np.flatnonzero(answer).tolist() if answer.ndim else [int(answer)]
    answers = np.repeat(answer[None], len(trial.test.texts), axis=0)
    return answers, ", ".join(trial.labels[label] for label in named) or "no label"


def _linear(trial: _Trial) -> tuple[Targets, str]:
    ngrams = Ngrams(trial.train.texts)
    features = ngrams.fit(trial.train.texts)

    def fit(strength: float) -> Decide:
        return fit_linear(features, trial.train.targets, len(trial.labels), strength, trial.seed)

    if trial.dev is None:
        strength, decide = _STRENGTHS[0], fit(_STRENGTHS[0])
    else:
        strength, decide = _best_on(trial.dev, {s: fit(s) for s in _STRENGTHS}, ngrams, trial.task)
    how = f"C = {strength:g} " + ("chosen on dev" if trial.dev else "not tuned")
    answers = _answers(decide(ngrams.transform(trial.test.texts)), trial.task)
    return answers, f"{ngrams.kind}, {features.shape[1]:,} features, {how}"


def _best_on(dev: _Sample, fitted: dict[float, Decide], ngrams: Ngrams, task: Task) -> tuple[float, Decide]:
    features = ngrams.transform(dev.texts)
    right = {s: is_right(_answers(decide(features), task), dev.targets).sum() for s, decide in fitted.items()}
    best = max(right, key=lambda strength: right[strength])
    return best, fitted[best]


def _answers(scores: Scores, task: Task) -> Targets:
    """From decision values: the largest, or every one from 0, which is a probability of a half."""
    return np.asarray(scores.argmax(axis=1)) if task == "single-label" else (scores >= 0).astype(np.uint8)
