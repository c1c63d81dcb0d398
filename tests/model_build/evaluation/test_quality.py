"""All that a report shows of one split, for both tasks and for splits that hardly deserve the name."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from model_build.evaluation.quality import (
    Quality,
    assess,
    confidence,
    confused,
    name_labels,
    selective,
    shorten,
    worth_reading,
)
from slipway.artifact import Task
from tests.model_build.calibrated import drawn

both_tasks = pytest.mark.parametrize("task", ["single-label", "multi-label"])
KEYS = {
    "texts",
    "summary",
    "intervals",
    "classes",
    "confusion",
    "confused",
    "curves",
    "calibration",
    "selective",
    "slices",
    "robustness",
    "errors",
}


def quality(task: Task, texts: int = 200, labels: int = 3, *, logits: Any = None, targets: Any = None) -> Quality:
    made, truth = drawn(4, texts, labels, task=task)
    logits, targets = made if logits is None else logits, truth if targets is None else targets
    return assess(
        logits,
        targets,
        task=task,
        temperature=1.5,
        labels=[f"label {k}" for k in range(labels)],
        texts=[f"Text number {k}, written for nobody" for k in range(len(targets))],
        tokens=[3 + k % 40 for k in range(len(targets))],
        columns={"source": ["here" if k % 2 else "there" for k in range(len(targets))]},
        predict=lambda changed: np.resize(logits, (len(changed), labels)),
    )


@both_tasks
def test_a_split_becomes_one_document(task: Task) -> None:
    document = quality(task).to_dict()
    assert set(document) == KEYS
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    low, high = document["intervals"]["accuracy"]
    assert low <= document["summary"]["accuracy"] <= high
    assert [row["label"] for row in document["classes"]] == ["label 0", "label 1", "label 2"]
    assert {row["label"] for row in document["curves"]["labels"]} == {"label 0", "label 1", "label 2"}
    assert {row["column"] for row in document["slices"]} == {"length", "source"}
    assert document["robustness"][0]["change"] == "none"
    assert document["calibration"]["temperature"] == 1.5
    assert (document["confusion"] is None) == (task == "multi-label")


@both_tasks
def test_the_same_split_gives_the_same_document(task: Task) -> None:
    assert quality(task).to_dict() == quality(task).to_dict()


@both_tasks
def test_calibration_is_told_before_and_after_the_temperature(task: Task) -> None:
    logits, targets = drawn(1, 2_000, task=task)
    told = quality(task, logits=logits * np.float32(1.5), targets=targets).calibration
    assert told["after"]["error"] < told["before"]["error"]
    assert sum(b["texts"] for b in told["after"]["bins"]) == targets.size


@both_tasks
@pytest.mark.parametrize("texts", [1, 2, 12])
def test_few_texts_and_many_labels_warn_of_nothing(task: Task, texts: int) -> None:
    document = quality(task, texts, labels=30).to_dict()
    json.dumps(document, allow_nan=False)
    assert document["texts"] == texts
    assert document["confusion"] is None or len(document["confusion"]) == 30


@both_tasks
def test_a_network_that_diverged_is_told_of_without_numbers(task: Task) -> None:
    document = quality(task, 40, logits=np.full((40, 3), np.nan, np.float32)).to_dict()
    json.dumps(document, allow_nan=False)
    assert set(document["summary"].values()) == {None}
    assert document["calibration"]["before"] == {"error": None, "bins": []}
    assert [document[name] for name in ("selective", "errors", "slices", "confused")] == [[], [], [], []]


@both_tasks
def test_answers_that_are_all_right_have_no_errors(task: Task) -> None:
    targets = np.arange(30) % 3 if task == "single-label" else np.eye(3, dtype=np.uint8)[np.arange(30) % 3]
    logits = np.where(np.eye(3)[np.arange(30) % 3] > 0, 9, -9).astype(np.float32)
    found = quality(task, 30, logits=logits, targets=targets)
    assert (found.errors, found.confused) == ([], [])
    assert found.summary["accuracy"] == 1
    assert {point["accuracy"] for point in found.selective} == {1.0}


def test_a_large_matrix_is_told_by_its_largest_cells() -> None:
    found = quality("single-label", 300, labels=101)
    assert found.confusion is None
    assert found.confused[0]["texts"] >= found.confused[-1]["texts"] >= 1
    assert len(found.confused) == 20


def test_the_labels_most_often_confused_come_first() -> None:
    targets, answers = np.array([0, 0, 1, 2, 2, 1]), np.array([1, 1, 0, 2, 1, 1])
    assert confused(answers, targets, ["a", "b", "c"])[0] == {"given": "a", "predicted": "b", "texts": 2}
    assert len(confused(answers, targets, ["a", "b", "c"])) == 3


def test_without_a_way_to_ask_there_is_no_robustness() -> None:
    logits, targets = drawn(1, 5, 2)
    arguments: dict[str, Any] = {"labels": ["a", "b"], "texts": ["x"] * 5, "tokens": [3] * 5, "columns": {}}
    assert assess(logits, targets, task="single-label", temperature=1.0, **arguments).robustness == []


def test_abstaining_gives_up_the_least_sure_answers_first() -> None:
    logits, targets = drawn(2, 5_000)
    points = quality("single-label", logits=logits, targets=targets).selective
    assert 20 <= len(points) <= 25
    coverage = [point["coverage"] for point in points]
    assert coverage == sorted(coverage, reverse=True)
    assert coverage[0] == 1
    assert coverage[-1] == pytest.approx(0.04, abs=0.01)
    assert points[-1]["accuracy"] > points[0]["accuracy"] + 0.1


def test_a_threshold_covers_every_answer_that_reaches_it() -> None:
    sure = np.array([0.9, 0.7, 0.7, 0.6])
    right = np.array([True, True, False, False])
    assert selective(sure, right) == [
        {"threshold": 0.6, "coverage": 1.0, "accuracy": 0.5},
        {"threshold": 0.7, "coverage": 0.75, "accuracy": pytest.approx(2 / 3)},
        {"threshold": 0.9, "coverage": 0.25, "accuracy": 1.0},
    ]


def test_a_multi_label_answer_is_as_sure_as_its_least_sure_label() -> None:
    assert confidence(np.array([[0.9, 0.4], [0.1, 0.95]], np.float32), "multi-label") == pytest.approx([0.6, 0.9])


def read(texts: Sequence[str], sure: list[float]) -> list[dict[str, Any]]:
    wrong = np.zeros(len(texts), np.int64)
    return worth_reading(wrong, wrong + 1, np.array(sure), texts, ["a", "b"])


def test_errors_are_the_surest_and_the_nearest() -> None:
    found = read([f"text {k}" for k in range(30)], [0.5 + k / 100 for k in range(30)])
    assert [row["text"] for row in found[:15]] == [f"text {k}" for k in range(29, 14, -1)]
    assert [row["text"] for row in found[15:]] == [f"text {k}" for k in range(5)]
    assert [row["kind"] for row in found] == ["confident"] * 15 + ["near"] * 5
    assert found[0] == {"kind": "confident", "text": "text 29", "given": "b", "predicted": "a", "score": 0.79}


def test_no_error_is_listed_twice() -> None:
    assert len(read(["x", "y"], [0.9, 0.6])) == 2


def test_long_texts_are_shortened_to_one_line() -> None:
    assert shorten("a\n\nb\tc") == "a b c"
    assert len(shorten("word " * 500)) == 300
    assert shorten("word " * 500).endswith("…")


def test_answers_are_named() -> None:
    assert name_labels(np.int64(1), ["a", "b"]) == "b"
    assert name_labels(np.array([0, 0], np.uint8), ["a", "b"]) == "none"
