"""What a model is worth: by hand, against scikit-learn, and where numbers are missing."""

import json
import warnings

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from model_build.evaluation.calibration import decide, to_probabilities
from model_build.evaluation.metrics import classes, confusion, count, is_right, log_loss, summary
from slipway.artifact import Task
from tests.model_build.calibrated import drawn

SEEDS = st.integers(0, 2**32 - 1)
TASKS = st.sampled_from(["single-label", "multi-label"])
both_tasks = pytest.mark.parametrize("task", ["single-label", "multi-label"])


def test_single_label_metrics_by_hand() -> None:
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.9, 0.1]], np.float32)
    measured = summary(probabilities, np.array([0, 1, 1, 0]), "single-label")
    assert measured["accuracy"] == measured["micro_f1"] == 0.75
    assert measured["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert measured["macro_precision"] == pytest.approx((2 / 3 + 1) / 2)
    assert measured["macro_recall"] == pytest.approx((1 + 1 / 2) / 2)
    assert measured["log_loss"] == pytest.approx(-np.log([0.8, 0.4, 0.7, 0.9]).mean(), abs=1e-6)
    assert "hamming_loss" not in measured


def test_multi_label_metrics_by_hand() -> None:
    probabilities = np.array([[0.9, 0.6, 0.1], [0.2, 0.3, 0.4]], np.float32)
    measured = summary(probabilities, np.array([[1, 0, 0], [0, 0, 0]], np.uint8), "multi-label")
    assert measured["accuracy"] == 0.5  # no label at all is a set as well
    assert measured["hamming_loss"] == pytest.approx(1 / 6)
    assert (measured["micro_precision"], measured["micro_recall"]) == (0.5, 1.0)
    assert measured["macro_f1"] == 0.5  # the third label is neither given nor predicted


@settings(max_examples=15)
@given(SEEDS, st.integers(2, 6))
def test_single_label_metrics_are_those_of_scikit_learn(seed: int, labels: int) -> None:
    logits, truth = drawn(seed, 60, labels)
    probabilities = to_probabilities(logits, "single-label")
    measured, predicted = summary(probabilities, truth, "single-label"), probabilities.argmax(1)
    assert measured["accuracy"] == pytest.approx(reference.accuracy_score(truth, predicted))
    for average in ("macro", "micro"):
        expected = reference.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0)[:3]
        found = [measured[f"{average}_{name}"] for name in ("precision", "recall", "f1")]
        assert found == pytest.approx(list(expected))
    exact = scipy.special.softmax(logits.astype(np.float64), axis=1)
    wanted = reference.log_loss(truth, exact, labels=range(labels))
    assert measured["log_loss"] == pytest.approx(wanted, rel=1e-4)


@settings(max_examples=15)
@given(SEEDS, st.integers(2, 6))
def test_multi_label_metrics_are_those_of_scikit_learn(seed: int, labels: int) -> None:
    logits, truth = drawn(seed, 60, labels, task="multi-label")
    probabilities = to_probabilities(logits, "multi-label")
    measured, predicted = summary(probabilities, truth, "multi-label"), decide(probabilities, "multi-label")
    assert measured["accuracy"] == pytest.approx(reference.accuracy_score(truth, predicted))
    assert measured["hamming_loss"] == pytest.approx(reference.hamming_loss(truth, predicted))
    for average in ("macro", "micro"):
        expected = reference.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0)[:3]
        found = [measured[f"{average}_{name}"] for name in ("precision", "recall", "f1")]
        assert found == pytest.approx(list(expected))


@settings(max_examples=15)
@given(SEEDS, TASKS)
def test_the_table_of_classes_is_that_of_scikit_learn(seed: int, task: Task) -> None:
    logits, truth = drawn(seed, 200, 3, task=task)
    probabilities = to_probabilities(logits, task)
    given_flags = np.eye(3, dtype=int)[truth] if task == "single-label" else truth
    predicted = decide(probabilities, task)
    predicted_flags = np.eye(3, dtype=int)[predicted] if task == "single-label" else predicted
    precision, recall, f1, texts = reference.precision_recall_fscore_support(given_flags, predicted_flags)
    for label, row in enumerate(classes(probabilities, truth, task)):
        assert row["texts"] == texts[label]
        assert row["predicted"] == predicted_flags[:, label].sum()
        assert [row["precision"], row["recall"], row["f1"]] == pytest.approx(
            [precision[label], recall[label], f1[label]]
        )
        scores = probabilities[:, label]
        assert row["roc_auc"] == pytest.approx(reference.roc_auc_score(given_flags[:, label], scores))
        average_precision = reference.average_precision_score(given_flags[:, label], scores)
        assert row["average_precision"] == pytest.approx(average_precision)


def test_what_cannot_be_said_of_a_class_is_none() -> None:
    probabilities = np.array([[0.8, 0.2, 0.0], [0.7, 0.3, 0.0]], np.float32)
    always, sometimes, never = classes(probabilities, np.array([0, 0]), "single-label")
    assert (always["precision"], always["recall"], always["f1"], always["roc_auc"]) == (1, 1, 1, None)
    assert sometimes == never
    assert never == {
        "texts": 0,
        "predicted": 0,
        "precision": None,
        "recall": None,
        "f1": None,
        "roc_auc": None,
        "average_precision": None,
    }


@both_tasks
@pytest.mark.parametrize("texts", [1, 2])
def test_few_texts_and_absent_classes_warn_of_nothing(task: Task, texts: int) -> None:
    logits, truth = drawn(1, texts, 50, task=task)
    probabilities = to_probabilities(logits, task)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = summary(probabilities, truth, task)
        assert len(classes(probabilities, truth, task)) == 50
        confusion(probabilities, truth, task)
    assert all(np.isfinite(value) for value in measured.values())


@both_tasks
def test_answers_that_are_all_right_score_one(task: Task) -> None:
    truth = np.array([0, 1, 2, 1]) if task == "single-label" else np.eye(3, dtype=np.uint8)
    probabilities = np.eye(3, dtype=np.float32)[[0, 1, 2, 1] if task == "single-label" else [0, 1, 2]]
    measured = summary(probabilities, truth, task)
    assert {measured[name] for name in ("accuracy", "macro_f1", "micro_recall", "macro_precision")} == {1.0}
    assert measured["log_loss"] == pytest.approx(0, abs=1e-6)


@both_tasks
def test_a_network_that_diverged_has_no_numbers_and_raises_nothing(task: Task) -> None:
    """One NaN is enough: an accuracy over what is left would look good."""
    logits, truth = drawn(1, 5, task=task)
    probabilities = to_probabilities(logits, task)
    probabilities[0] = np.nan
    assert all(np.isnan(value) for value in summary(probabilities, truth, task).values())
    assert all(row[name] is None for row in classes(probabilities, truth, task) for name in ("f1", "roc_auc"))
    assert confusion(probabilities, truth, task) is None


def test_an_impossible_label_costs_much_but_not_infinitely() -> None:
    certain = np.array([[1, 0]], np.float32)
    assert 10 < log_loss(certain, np.array([1]), "single-label") < 20
    assert 10 < log_loss(certain, np.array([[0, 1]], np.uint8), "multi-label") < 20


def test_confusion_has_true_labels_in_rows_and_every_label_even_if_absent() -> None:
    probabilities = np.eye(3, dtype=np.float32)[[0, 1, 1]]
    assert confusion(probabilities, np.array([0, 0, 1]), "single-label") == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert confusion(probabilities, np.eye(3, dtype=np.uint8), "multi-label") is None


@both_tasks
def test_a_thousand_labels(task: Task) -> None:
    logits, truth = drawn(2, 100, 1_000, task=task)
    if task == "multi-label":
        truth[:, 100:] = 0
    probabilities = to_probabilities(logits, task)
    assert 0 <= summary(probabilities, truth, task)["macro_f1"] <= 1
    table = classes(probabilities, truth, task)
    assert sum(row["texts"] or 0 for row in table) == (100 if task == "single-label" else truth.sum())
    json.dumps(table, allow_nan=False)


@given(SEEDS, TASKS)
def test_counts_add_up(seed: int, task: Task) -> None:
    logits, truth = drawn(seed, 40, 4, task=task)
    answers = decide(to_probabilities(logits, task), task)
    counts = count(answers, truth, 4, task)
    assert (counts.right <= np.minimum(counts.predicted, counts.given)).all()
    if task == "single-label":
        assert counts.total().right == is_right(answers, truth).sum()
        assert counts.total().predicted == counts.total().given == 40
