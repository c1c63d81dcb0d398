"""Temperature, reliability and calibration error: by hand, and where there is nothing to calibrate."""

import json

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from model_build.evaluation.calibration import (
    BINS,
    calibration_error,
    decide,
    fit_temperature,
    log_loss,
    reliability,
    to_probabilities,
)
from slipway.artifact import Task
from tests.model_build.calibrated import drawn

SEEDS = st.integers(0, 2**32 - 1)
TASKS = st.sampled_from(["single-label", "multi-label"])
both_tasks = pytest.mark.parametrize("task", ["single-label", "multi-label"])


@both_tasks
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 8.0])
def test_the_temperature_that_was_applied_is_found(task: Task, temperature: float) -> None:
    logits, targets = drawn(3, 6_000, task=task)
    assert fit_temperature(logits * np.float32(temperature), targets, task) == pytest.approx(temperature, rel=0.1)


@given(SEEDS, TASKS)
def test_a_fitted_temperature_never_makes_the_log_loss_worse(seed: int, task: Task) -> None:
    logits, targets = drawn(seed, 60, task=task)
    fitted = fit_temperature(logits * 3, targets, task)
    assert 0.05 <= fitted <= 20
    assert fitted == round(fitted, 4)
    assert log_loss(logits * 3, targets, task, fitted) <= log_loss(logits * 3, targets, task) + 1e-4


def test_a_split_without_an_error_or_with_nothing_else_has_a_temperature_all_the_same() -> None:
    logits = np.array([[4, 0], [0, 4], [3, 0]], np.float32)
    right = np.array([0, 1, 0])
    assert 0.05 <= fit_temperature(logits, right, "single-label") < 1
    assert fit_temperature(logits, 1 - right, "single-label") == pytest.approx(20, abs=0.1)
    assert 0.05 <= fit_temperature(logits[:1], right[:1], "single-label") <= 20
    assert 0.05 <= fit_temperature(logits, (logits > 0).astype(np.uint8), "multi-label") <= 20


@both_tasks
def test_a_network_that_diverged_is_not_calibrated(task: Task) -> None:
    """The gates refuse NaN by name; an exception or a warning here would hide them."""
    _, targets = drawn(1, 4, task=task)
    for broken in (np.nan, np.inf, -np.inf):
        logits = np.full((4, 3), broken, np.float32)
        assert fit_temperature(logits, targets, task) == 1.0
        assert to_probabilities(logits, task, 0.5).shape == (4, 3)
        log_loss(logits, targets, task)
    nothing = np.full((4, 3), np.nan, np.float32)
    assert np.isnan(log_loss(nothing, targets, task))
    assert np.isnan(calibration_error(nothing, targets, task))
    assert reliability(nothing, targets, task) == []


@given(SEEDS, TASKS, st.floats(0.05, 20))
def test_probabilities_are_shares_and_keep_the_answers(seed: int, task: Task, temperature: float) -> None:
    logits, _ = drawn(seed, 30, task=task)
    probabilities = to_probabilities(logits, task, temperature)
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    assert (probabilities <= 1).all()
    expected = logits.argmax(1) if task == "single-label" else (logits >= 0).astype(np.uint8)
    np.testing.assert_array_equal(decide(probabilities, task), expected)
    if task == "single-label":
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)


def test_extreme_logits_are_certain_and_warn_of_nothing() -> None:
    logits = np.array([[3e38, -3e38]], np.float32)
    for task in ("single-label", "multi-label"):
        assert to_probabilities(logits, task, 0.05).tolist() == [[1, 0]]  # type: ignore[arg-type]


def test_a_half_is_a_label_in_a_multi_label_task() -> None:
    assert decide(np.array([[0.5, 0.499]], np.float32), "multi-label").tolist() == [[1, 0]]


def test_the_log_loss_by_hand() -> None:
    logits = np.log(np.array([[0.8, 0.2], [0.3, 0.7]], np.float32))
    assert log_loss(logits, np.array([0, 1]), "single-label") == pytest.approx(-np.log([0.8, 0.7]).mean(), rel=1e-5)
    logits = scipy.special.logit(np.array([[0.8, 0.2], [0.3, 0.7]])).astype(np.float32)
    targets = np.array([[1, 0], [1, 1]], np.uint8)
    expected = -np.log([0.8, 0.8, 0.3, 0.7]).mean()
    assert log_loss(logits, targets, "multi-label") == pytest.approx(expected, rel=1e-5)


def test_the_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.9, 0.1]], np.float32)
    gaps = [1 - 0.8, 0 - 0.6, 1 - 0.7, 1 - 0.9]  # each confidence in a bin of its own
    measured = calibration_error(probabilities, np.array([0, 1, 1, 0]), "single-label")
    assert measured == pytest.approx(np.abs(gaps).mean(), abs=1e-6)


def test_full_confidence_is_calibrated_if_right_and_the_worst_if_wrong() -> None:
    sure = np.array([[1.0, 0.0]] * 4, np.float32)
    assert calibration_error(sure, np.zeros(4, np.int64), "single-label") == 0
    assert calibration_error(sure, np.ones(4, np.int64), "single-label") == 1
    assert calibration_error(sure, np.array([[1, 0]] * 4, np.uint8), "multi-label") == 0
    assert calibration_error(sure, np.array([[0, 1]] * 4, np.uint8), "multi-label") == 1


@given(SEEDS, TASKS, st.integers(1, 50))
def test_the_bins_hold_every_answer_and_give_the_error(seed: int, task: Task, texts: int) -> None:
    logits, targets = drawn(seed, texts, task=task)
    probabilities = to_probabilities(logits, task)
    bins = reliability(probabilities, targets, task)
    assert len(bins) <= BINS
    assert sum(b["texts"] for b in bins) == (texts if task == "single-label" else texts * 3)
    assert all(0 <= b["accuracy"] <= 1 and 0 < b["confidence"] <= 1.0001 for b in bins)
    weighted = sum(b["texts"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / sum(b["texts"] for b in bins)
    assert calibration_error(probabilities, targets, task) == pytest.approx(weighted, abs=1e-9)
    assert json.loads(json.dumps(bins)) == bins


@both_tasks
def test_calibrated_answers_have_a_small_error_and_overconfident_ones_a_large_one(task: Task) -> None:
    logits, targets = drawn(5, 20_000, task=task, scale=1)
    assert calibration_error(to_probabilities(logits, task), targets, task) < 0.02
    assert calibration_error(to_probabilities(logits * 5, task), targets, task) > 0.1
