"""What a training reads: padded ids, and targets as shares of labels."""

import numpy as np
import pytest

from model_build.training.rows import Joined, Rows, balanced_weights, shares
from slipway.artifact import Task

TOKENS = [np.array(ids, np.int32) for ids in ([2, 5, 3], [2, 3], [2, 7, 8, 9, 3])]


def rows(targets: object, task: Task = "single-label", smoothing: float = 0) -> Rows:
    return Rows(TOKENS, np.array(targets), 3, task, smoothing)


def test_a_batch_is_padded_to_its_longest_text() -> None:
    given = rows([0, 2, 1])
    batch = given.collate([given[0], given[2]], pad_id=99)
    assert batch["input_ids"].tolist() == [[2, 5, 3, 99, 99], [2, 7, 8, 9, 3]]
    assert batch["labels"].tolist() == [[1, 0, 0], [0, 1, 0]]


def test_shares_are_taken_as_they_are() -> None:
    given = rows([[0.2, 0.8, 0], [1, 1, 0], [0, 0, 0]], "multi-label")
    assert given.collate([given[0], given[2]], 0)["labels"].numpy() == pytest.approx(np.array([[0.2, 0.8, 0], [0] * 3]))


@pytest.mark.parametrize(
    ("task", "smoothed"), [("single-label", [0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]), ("multi-label", [0.95, 0.05, 0.05])]
)
def test_smoothing_spreads_some_of_each_target(task: Task, smoothed: list[float]) -> None:
    given = rows(np.eye(3)[[0, 1, 2]], task, smoothing=0.1)
    assert given.collate([given[0]], 0)["labels"][0].tolist() == pytest.approx(smoothed)


def test_joined_texts_are_those_of_the_first_part_and_then_of_the_next() -> None:
    joined = Joined((TOKENS[:1], [], TOKENS[1:]))
    assert len(joined) == 3
    assert [list(row) for row in joined] == [list(row) for row in TOKENS]


def test_balanced_weights_make_every_label_weigh_the_same() -> None:
    targets = np.array([0] * 8 + [1] * 2)
    weights = balanced_weights(targets, 2)
    assert weights.tolist() == pytest.approx([10 / 16, 10 / 4])
    assert weights[0] * 8 == pytest.approx(weights[1] * 2)
    assert balanced_weights(shares(targets, 2), 2).tolist() == pytest.approx(weights.tolist())
    assert np.isfinite(balanced_weights(targets, 3)).all()  # a label without a text
