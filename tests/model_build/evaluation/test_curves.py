"""ROC and precision-recall: against scikit-learn, thinned without losing their shape."""

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from model_build.evaluation.calibration import to_probabilities
from model_build.evaluation.curves import LABELS, POINTS, areas, curves, has_label
from slipway.artifact import Task
from tests.model_build.calibrated import drawn

both_tasks = pytest.mark.parametrize("task", ["single-label", "multi-label"])


@both_tasks
def test_thinned_curves_keep_their_ends_and_their_area(task: Task) -> None:
    logits, truth = drawn(1, 5_000, 3, task=task)
    probabilities = to_probabilities(logits, task)
    for row in curves(probabilities, truth)["labels"]:
        roc, pr = np.array(row["roc"]), np.array(row["pr"])
        assert 20 < len(roc) <= POINTS
        assert 20 < len(pr) <= POINTS
        assert roc[[0, -1]].tolist() == [[0, 0], [1, 1]]
        assert pr[-1, 0] == 1
        assert (np.diff(roc, axis=0) >= 0).all()
        scores, given = probabilities[:, row["label"]], has_label(truth, row["label"])
        assert reference.auc(*roc.T) == pytest.approx(reference.roc_auc_score(given, scores), abs=0.005)
        precision_by_recall = np.trapezoid(pr[:, 1], pr[:, 0]) + pr[0, 0]
        assert precision_by_recall == pytest.approx(areas(scores, given)["average_precision"], abs=0.02)


@both_tasks
def test_the_most_frequent_labels_are_drawn_and_the_average_of_all(task: Task) -> None:
    logits, truth = drawn(2, 800, 40, task=task)
    found = curves(to_probabilities(logits, task), truth)
    given = np.array([has_label(truth, label).sum() for label in range(40)])
    drawn_labels = [row["label"] for row in found["labels"]]
    assert len(drawn_labels) == LABELS
    assert given[drawn_labels].min() >= np.delete(given, drawn_labels).max()
    assert len(found["micro"]["roc"]) <= POINTS
    json.dumps(found, allow_nan=False)


def test_the_micro_average_ranks_all_decisions_together() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4]], np.float32)
    found = curves(probabilities, np.array([0, 1]))["micro"]
    assert found["roc"] == [[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1], [1, 1]]
    assert found["pr"] == [[0.5, 1], [0.5, 0.5], [1, 0.66667], [1, 0.5]]


def test_a_label_without_texts_or_without_others_has_no_curve() -> None:
    found = curves(np.array([[0.9, 0.1], [0.6, 0.4]], np.float32), np.array([0, 0]))
    assert [row["roc"] for row in found["labels"]] == [None, None]
    assert found["micro"]["roc"]
    nothing = curves(np.zeros((1, 2), np.float32), np.zeros((1, 2), np.uint8))
    assert nothing["micro"] == {"roc": None, "pr": None}


def test_scores_that_are_no_numbers_have_no_curve() -> None:
    found = curves(np.full((2, 2), np.nan, np.float32), np.array([0, 1]))
    assert found["micro"] == {"roc": None, "pr": None}
    assert areas(np.array([np.nan, 1.0], np.float32), np.array([True, False]))["roc_auc"] is None


def test_equal_scores_rank_nothing() -> None:
    flat = areas(np.full(10, 0.5, np.float32), np.arange(10) < 3)
    assert flat["roc_auc"] == pytest.approx(0.5)
    assert flat["average_precision"] == pytest.approx(0.3)
