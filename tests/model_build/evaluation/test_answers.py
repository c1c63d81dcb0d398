"""What logits answer, and the two promises that the gates build on: what a margin is, and how far it can move."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_build.evaluation.answers import answers, equal_answers, margins, movements, same_answers
from slipway.artifact import Task

SEEDS = st.integers(0, 2**32 - 1)
TASKS = st.sampled_from(["single-label", "multi-label"])


def draw(seed: int, texts: int = 9, labels: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(texts, labels)).astype(np.float32)


def test_one_label_is_the_largest_and_several_are_those_of_at_least_a_half() -> None:
    logits = np.array([[0.0, -1.0, 2.0], [-3.0, -1.0, -2.0]], np.float32)
    assert answers(logits, "single-label").tolist() == [2, 1]
    assert answers(logits, "multi-label").tolist() == [[1, 0, 1], [0, 0, 0]]


@given(SEEDS, st.floats(0.05, 20), TASKS)
def test_a_temperature_changes_no_answer(seed: int, temperature: float, task: Task) -> None:
    logits = draw(seed)
    assert np.array_equal(answers(logits / np.float32(temperature), task), answers(logits, task))


def test_a_set_of_labels_is_the_same_only_as_a_whole() -> None:
    first = np.array([[1, 0, 1], [1, 0, 1]], np.uint8)
    second = np.array([[1, 0, 1], [1, 0, 0]], np.uint8)
    assert equal_answers(first, second).tolist() == [True, False]


def test_single_labels_are_compared_one_by_one() -> None:
    assert equal_answers(np.array([2, 1]), np.array([2, 0])).tolist() == [True, False]


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_a_number_agrees_with_nothing(task: Task, bad: float) -> None:
    logits = -np.ones((3, 2), np.float32)
    broken = logits.copy()
    broken[1, 0] = bad
    assert same_answers(broken, logits, task).tolist() == [True, False, True]
    assert same_answers(logits, broken, task).tolist() == [True, False, True]
    assert same_answers(broken, broken, task).tolist() == [True, False, True]


@given(SEEDS, st.integers(2, 6))
def test_a_margin_is_what_the_best_leads_by(seed: int, labels: int) -> None:
    logits = draw(seed, labels=labels)
    ordered = np.sort(logits, axis=1)
    assert np.array_equal(margins(logits, "single-label"), ordered[:, -1] - ordered[:, -2])


@given(SEEDS, st.integers(1, 6))
def test_a_margin_of_a_set_is_its_label_nearest_to_tipping(seed: int, labels: int) -> None:
    logits = draw(seed, labels=labels)
    assert np.array_equal(margins(logits, "multi-label"), np.sort(np.abs(logits), axis=1)[:, 0])


@given(SEEDS, SEEDS, st.floats(0, 2), TASKS)
def test_a_margin_larger_than_the_movement_keeps_the_answer(seed: int, other: int, by: float, task: Task) -> None:
    before = draw(seed, texts=40)
    after = before + np.float32(by) * draw(other, texts=40)
    safe = margins(before, task) > movements(after, before, task) + 1e-6
    assert same_answers(after, before, task)[safe].all()


def test_a_shift_of_all_logits_moves_one_label_nowhere_and_a_set_of_labels_far() -> None:
    logits = draw(1)
    assert movements(logits + 5, logits, "single-label").max() < 1e-5
    assert movements(logits + 5, logits, "multi-label") == pytest.approx(5, abs=1e-5)
