"""Intervals: against a bootstrap that draws texts one by one, against scipy, and at the edges."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from model_build.evaluation.calibration import decide, to_probabilities
from model_build.evaluation.intervals import difference_interval, intervals, mcnemar, share_interval, standard_error
from slipway.artifact import Task
from tests.model_build.calibrated import drawn

both_tasks = pytest.mark.parametrize("task", ["single-label", "multi-label"])


def macro_f1(truth: np.ndarray, answers: np.ndarray) -> float:
    """By its definition."""
    flags = (truth == k for k in range(3)), (answers == k for k in range(3))
    pairs = zip(*(flags if truth.ndim == 1 else (truth.T == 1, answers.T == 1)), strict=True)
    return float(np.mean([2 * (given & found).sum() / (given.sum() + found.sum()) for given, found in pairs]))


@both_tasks
def test_the_intervals_are_those_of_texts_drawn_one_by_one(task: Task) -> None:
    logits, truth = drawn(1, 200, 3, task=task)
    answers = decide(to_probabilities(logits, task), task)
    found = intervals(answers, truth, 3, task)
    numbers = np.random.default_rng(0)
    accuracies, scores = [], []
    for _ in range(500):
        chosen = numbers.integers(0, 200, 200)
        same = answers[chosen] == truth[chosen]
        accuracies.append((same if same.ndim == 1 else same.all(1)).mean())
        scores.append(macro_f1(truth[chosen], answers[chosen]))
    assert found["accuracy"] == pytest.approx(np.percentile(accuracies, [2.5, 97.5]), abs=0.02)
    assert found["macro_f1"] == pytest.approx(np.percentile(scores, [2.5, 97.5]), abs=0.02)


@both_tasks
def test_the_same_seed_gives_the_same_interval(task: Task) -> None:
    logits, truth = drawn(2, 300, 4, task=task)
    answers = decide(to_probabilities(logits, task), task)
    assert intervals(answers, truth, 4, task) == intervals(answers, truth, 4, task)
    assert intervals(answers, truth, 4, task, seed=1) != intervals(answers, truth, 4, task, seed=2)


@both_tasks
def test_one_text_and_all_right_have_an_interval(task: Task) -> None:
    truth = np.array([1]) if task == "single-label" else np.array([[1, 0]], np.uint8)
    assert intervals(truth, truth, 2, task) == {"accuracy": (1, 1), "macro_f1": (1, 1)}
    assert intervals(1 - truth, truth, 2, task)["accuracy"] == (0, 0)


def test_a_hundred_thousand_texts_take_no_time() -> None:
    logits, truth = drawn(3, 100_000, 20)
    answers = logits.argmax(1)
    start = time.process_time()
    low, high = intervals(answers, truth, 20, "single-label")["accuracy"]
    assert time.process_time() - start < 5
    assert high - low == pytest.approx(4 * standard_error(float((answers == truth).mean()), 100_000), rel=0.1)


def test_the_interval_of_a_difference_holds_it_and_narrows_with_agreement() -> None:
    low, high = difference_interval(30, 20, 1_000)
    assert low < 0.01 < high
    assert low < 0
    surely = difference_interval(50, 0, 1_000)
    assert surely[0] > 0
    assert difference_interval(0, 0, 10) == (0, 0)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_of_the_texts_that_differ(only_a: int, only_b: int) -> None:
    exact, mid_p = mcnemar(only_a, only_b)
    assert 0 < mid_p <= exact <= 1
    assert (exact, mid_p) == pytest.approx(mcnemar(only_b, only_a))
    if only_a + only_b:
        assert exact == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)


def test_mcnemar_of_models_that_never_differ() -> None:
    assert mcnemar(0, 0) == (1, 1)


def test_a_share_of_few_texts_is_never_certain() -> None:
    assert share_interval(10, 10)[0] < 0.75
    assert share_interval(0, 10)[1] > 0.25
    low, high = share_interval(1, 1)
    assert low < 0.5
    assert high == 1


def test_a_standard_error_is_that_of_a_coin() -> None:
    assert standard_error(0.5, 100) == 0.05
    assert standard_error(1.0, 1) == 0
