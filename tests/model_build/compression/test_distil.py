"""Soft targets: the teachers' mean at a temperature, mixed with the label where there is one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model_build.compression.distil import soft_targets, teacher_logits
from model_build.sections import DistilConfig
from slipway.network import Network
from slipway.probabilities import softmax
from tests.model_build.conftest import PAD, random_rows

LOGITS = hnp.arrays(np.float32, (4, 3), elements=st.floats(-30, 30, width=32))
GOLD = np.array([2, 0])


@given(LOGITS, LOGITS, st.floats(0.1, 10), st.floats(0, 1))
def test_targets_are_shares_that_sum_to_one(first: object, second: object, temperature: float, gold: float) -> None:
    config = DistilConfig(temperature=temperature, gold=gold)
    targets = soft_targets([first, second], GOLD, config, labels=3, task="single-label")  # type: ignore[list-item]
    assert targets.shape == (4, 3)
    assert targets.min() >= 0
    assert targets.sum(1) == pytest.approx(np.ones(4), abs=1e-5)


def test_the_mean_of_the_teachers_is_taken_before_the_softmax() -> None:
    first, second = np.array([[2.0, 0]], np.float32), np.array([[0, 4.0]], np.float32)
    (target,) = soft_targets([first, second], GOLD[:0], DistilConfig(temperature=2), labels=2, task="single-label")
    assert target == pytest.approx(softmax(np.array([[0.5, 1.0]]))[0])


def test_gold_is_the_share_of_the_label_and_unlabelled_texts_have_none() -> None:
    logits = np.zeros((3, 3), np.float32)
    config = DistilConfig(gold=0.4)
    targets = soft_targets([logits], GOLD, config, labels=3, task="single-label")
    assert targets[0] == pytest.approx([0.2, 0.2, 0.6])
    assert targets[1] == pytest.approx([0.6, 0.2, 0.2])
    assert targets[2] == pytest.approx([1 / 3] * 3)


def test_each_label_of_a_multi_label_task_is_taught_by_itself() -> None:
    logits = np.array([[0, 100, -100], [0, 0, 0]], np.float32)
    gold = np.array([[1, 1, 0]], np.uint8)
    targets = soft_targets([logits], gold, DistilConfig(gold=0.5, temperature=1), labels=3, task="multi-label")
    assert targets[0] == pytest.approx([0.75, 1, 0])
    assert targets[1] == pytest.approx([0.5] * 3)


def test_a_teacher_is_asked_once(bert_graphs: dict[str, Path], tmp_path: Path) -> None:
    rows, saved = random_rows(0, [3, 9, 4, 30, 5]), tmp_path / "logits.npy"
    found = teacher_logits(bert_graphs["fp32"], rows, pad_id=PAD, threads=1, saved=saved, chunk=2)
    assert found == pytest.approx(Network(bert_graphs["fp32"], pad_id=PAD).logits(rows), abs=1e-5)
    again = teacher_logits(tmp_path / "gone.onnx", rows, pad_id=PAD, threads=1, saved=saved)
    assert (again == found).all()
    assert [path.name for path in tmp_path.iterdir()] == ["logits.npy"]
