"""How far a measured number can be trusted: bootstrap intervals and standard errors."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.stats import binom, binomtest

from model_build.evaluation.calibration import Targets
from model_build.evaluation.metrics import Counts, Floats
from slipway.artifact import Task

Interval = tuple[float, float]

RESAMPLES = 2_000
_LEVEL = (2.5, 97.5)  # percentiles of a 95 % interval
_DRAWN = 2_000_000  # counts that are held at a time


def intervals(answers: Targets, targets: Targets, labels: int, task: Task, *, seed: int = 13) -> dict[str, Interval]:
    """95 % percentile bootstrap (Efron 1979) of ``accuracy`` and ``macro_f1`` from 2,000 resamples of the texts.

    Texts with the same outcome are interchangeable: a resample is one multinomial draw over the distinct outcomes.
    """
    right, parts, texts = _outcomes(answers, targets, labels, task)
    accuracy, macro_f1 = [], []
    for drawn in _resamples(texts, seed):
        counts = Counts(*(drawn @ part for part in parts))
        accuracy.append(drawn @ right / texts.sum())
        macro_f1.append(counts.macro(counts.f1()))
    return {"accuracy": _percentiles(accuracy), "macro_f1": _percentiles(macro_f1)}


def difference_interval(better: int, worse: int, texts: int, *, seed: int = 13) -> Interval:
    """95 % percentile bootstrap of (better - worse) / texts, where these many of ``texts`` changed either way."""
    changes = np.array([better, worse, texts - better - worse])
    return _percentiles([(drawn[:, 0] - drawn[:, 1]) / texts for drawn in _resamples(changes, seed)])


def share_interval(right: int, texts: int) -> Interval:
    """95 % Wilson interval of a share, for few texts: a bootstrap of 10 right out of 10 would claim certainty.

    >>> [round(bound, 2) for bound in share_interval(10, 10)]
    [0.72, 1.0]
    """
    bounds = binomtest(right, texts).proportion_ci(method="wilson")
    return float(bounds.low), float(bounds.high)


def mcnemar(only_a: int, only_b: int) -> tuple[float, float]:
    """McNemar's exact p-value, and the mid-p-value (Fagerland et al. 2013, doi:10.1186/1471-2288-13-91).

    ``only_a`` and ``only_b`` are the texts that just one of two models has right. Both values are two-sided; the exact
    one is never too small, the mid-p-value is nearer to the level that it claims.

    >>> [round(p, 4) for p in mcnemar(0, 5)]
    [0.0625, 0.0313]
    """
    if only_a == only_b:
        return 1.0, 1.0
    exact = float(binomtest(only_a, only_a + only_b).pvalue)
    return exact, exact - float(binom.pmf(only_a, only_a + only_b, 0.5))


def standard_error(accuracy: float, texts: int) -> float:
    """Of a share of ``texts`` independent texts.

    >>> round(standard_error(0.84, 852), 4)
    0.0126
    """
    return float(np.sqrt(accuracy * (1 - accuracy) / texts))


def _resamples(texts: npt.NDArray[np.int64], seed: int) -> Iterator[Floats]:
    """Chunks of shape (resamples, outcomes): how often each outcome was drawn."""
    numbers, total = np.random.default_rng(seed), texts.sum()
    size = max(1, _DRAWN // len(texts))
    starts = range(0, RESAMPLES, size)
    draws = (numbers.multinomial(total, texts / total, min(size, RESAMPLES - start)) for start in starts)
    return (drawn.astype(np.float64) for drawn in draws)


def _outcomes(
    answers: Targets, targets: Targets, labels: int, task: Task
) -> tuple[Floats, list[csr_array], npt.NDArray[np.int64]]:
    """The distinct outcomes: whether each is right, what it adds to the three ``Counts`` of a label, and its texts."""
    if task == "single-label":
        pairs, texts = np.unique(targets * labels + answers, return_counts=True)
        given, predicted = (_one_hot(part, labels) for part in np.divmod(pairs, labels))
    else:
        packed = np.packbits(np.hstack([targets, answers]), axis=1)
        _, first, texts = np.unique(packed, axis=0, return_index=True, return_counts=True)
        given, predicted = (csr_array(part[first].astype(np.float64)) for part in (targets, answers))
    right = 1 - np.minimum(1, np.abs(given - predicted).sum(axis=1))
    return right, [given.multiply(predicted).tocsr(), predicted, given], texts


def _one_hot(indices: npt.NDArray[np.int64], labels: int) -> csr_array:
    return csr_array((np.ones(len(indices)), (np.arange(len(indices)), indices)), (len(indices), labels))


def _percentiles(values: list[Floats]) -> Interval:
    low, high = np.percentile(np.concatenate(values), _LEVEL).tolist()
    return low, high
