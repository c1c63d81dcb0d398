"""What a model must beat: learnt where there is something to learn, sampled where there is too much."""

import json
from collections.abc import Iterator

import numpy as np
import pytest

from model_build.evaluation import baselines as module
from model_build.evaluation.baselines import baselines
from slipway.artifact import Task
from tests.conftest import tiny_rows

LABELS = ["negative", "positive"]


def films(seed: int, count: int) -> tuple[list[str], np.ndarray]:
    rows = tiny_rows(seed, count)
    return [row["text"] for row in rows], np.array([LABELS.index(row["label"]) for row in rows])


def as_sets(targets: np.ndarray) -> np.ndarray:
    """The same labels as rows of 0 and 1, with a third that every text has."""
    return np.column_stack([np.eye(2, dtype=np.uint8)[targets], np.ones(len(targets), np.uint8)])


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_words_that_tell_the_label_are_learnt(task: Task) -> None:
    (texts, targets), (test_texts, test_targets) = films(1, 300), films(2, 100)
    labels = LABELS if task == "single-label" else [*LABELS, "film"]
    if task == "multi-label":
        targets, test_targets = as_sets(targets), as_sets(test_targets)
    majority, linear = baselines(texts, targets, test_texts, test_targets, task=task, labels=labels, seed=13)
    assert 0.3 < majority["accuracy"] < 0.7
    assert linear["accuracy"] > 0.95
    assert linear["interval"][0] <= linear["accuracy"] <= linear["interval"][1]
    assert set(linear) == {"name", "accuracy", "macro_f1", "interval", "seconds", "note"}
    assert "C = 1 not tuned; trained on 300 texts, tested on 100 texts" in linear["note"]
    json.dumps([majority, linear], allow_nan=False)


def test_the_strength_is_chosen_on_dev() -> None:
    (texts, targets), dev, test = films(1, 200), films(2, 60), films(3, 60)
    _, linear = baselines(texts, targets, *test, task="single-label", labels=LABELS, seed=13, dev=dev)
    assert "chosen on dev" in linear["note"]


def test_the_most_frequent_answer_is_that_of_training() -> None:
    train, test = np.array([0, 1, 1]), np.array([0, 0, 1])
    found = baselines(["a", "b", "c"], train, ["d", "e", "f"], test, task="single-label", labels=LABELS, seed=1)[0]
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["note"].startswith("positive; trained on 3 texts")


def test_the_most_frequent_set_may_be_empty() -> None:
    train = np.array([[0, 0], [0, 0], [1, 1]], np.uint8)
    found = baselines(["a", "b", "c"], train, ["d"], train[:1], task="multi-label", labels=LABELS, seed=1)[0]
    assert found["accuracy"] == 1
    assert found["note"].startswith("no label;")


def test_too_many_texts_are_sampled_by_the_seed_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRAINED", 150)
    monkeypatch.setattr(module, "TESTED", 50)
    (texts, targets), (test_texts, test_targets) = films(1, 300), films(2, 100)

    def stream(of: list[str]) -> Iterator[str]:
        yield from of

    def run() -> list[dict[str, object]]:
        rows = baselines(
            stream(texts), targets, stream(test_texts), test_targets, task="single-label", labels=LABELS, seed=13
        )
        return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]

    first = run()
    assert first == run()
    assert "trained on 150 of 300 texts, tested on 50 of 100 texts" in str(first[1]["note"])
    assert float(str(first[1]["accuracy"])) > 0.9


def test_scripts_without_spaces() -> None:
    good, bad = (
        ["很好看的电影", "演员非常出色", "剧情感人好看"] * 10,
        ["很难看的电影", "演员非常差劲", "剧情无聊难看"] * 10,
    )
    texts, targets = good + bad, np.repeat([1, 0], 30)
    linear = baselines(texts, targets, texts, targets, task="single-label", labels=LABELS, seed=1)[1]
    assert linear["accuracy"] == 1
    assert linear["note"].startswith("1 to 3 characters")
