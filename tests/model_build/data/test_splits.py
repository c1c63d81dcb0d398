"""Splits: views of texts on disk, that another process can open."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from model_build.data.clean import clean
from model_build.data.read import Row
from model_build.data.splits import Example, Split
from model_build.sections import DataConfig

EXAMPLES = [Example("one", (0,), ("x",)), Example("two", (2,), ("",)), Example("three", (1,), ("x",))]
SETS = [Example("one", (0, 2)), Example("two", ()), Example("three", (1,))]


@pytest.fixture
def on_disk(tmp_path: Path) -> Split:
    """More rows than are written at a time."""
    rows = (Row(f"text {n} of {n * n}", "ab"[n % 2], slices=(str(n % 3),)) for n in range(9_000))
    return clean(rows, DataConfig(path="rows.csv", slices=("third",)), tmp_path).splits["train"]


def test_a_split_from_memory_is_its_examples() -> None:
    split = Split.of(EXAMPLES, labels=3)
    assert list(split) == EXAMPLES
    assert (split[-1], len(split)) == (EXAMPLES[-1], 3)
    assert [example.label for example in split] == [0, 2, 1]
    assert list(split.texts()) == ["one", "two", "three"]


def test_targets_are_labels_or_a_row_of_zeros_and_ones() -> None:
    single, multi = Split.of(EXAMPLES, labels=3).targets(), Split.of(SETS, labels=3, task="multi-label").targets()
    assert (single.dtype, single.tolist()) == (np.int64, [0, 2, 1])
    assert (multi.dtype, multi.tolist()) == (np.uint8, [[1, 0, 1], [0, 0, 0], [0, 1, 0]])


def test_a_multi_label_split_has_its_sets_of_labels() -> None:
    assert [example.labels for example in Split.of(SETS, labels=3, task="multi-label")] == [(0, 2), (), (1,)]


def test_a_slice_and_a_choice_are_views() -> None:
    split = Split.of(SETS, labels=3, task="multi-label")
    assert list(split[1:]) == SETS[1:]
    assert list(split[::-1]) == SETS[::-1]
    assert list(split.take(np.array([2, 0]))) == [SETS[2], SETS[0]]
    assert list(split.take(np.array([True, False, True]))) == [SETS[0], SETS[2]]
    assert split[1:].targets().tolist() == [[0, 0, 0], [0, 1, 0]]
    assert split[:2].table is split.table


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_an_empty_split_is_empty(task: str) -> None:
    split = Split.of([], labels=2, task=task)  # type: ignore[arg-type]
    assert (list(split), len(split.targets())) == ([], 0)
    with pytest.raises(IndexError):
        split[0]


def test_a_split_on_disk_gives_every_row_its_own_text_label_and_slice(on_disk: Split) -> None:
    assert len(on_disk) == 7_200
    for example, text, target in zip(on_disk, on_disk.texts(), on_disk.targets(), strict=True):
        number = int(example.text.split()[1])
        assert example == Example(text, (number % 2,), (str(number % 3),))
        assert target == number % 2


def test_another_process_gets_the_split_without_its_texts(on_disk: Split) -> None:
    sent = pickle.dumps(on_disk)
    assert len(sent) < 20 * 9_000  # eight bytes a row and two for its label, in both tasks
    assert list(pickle.loads(sent)[:5]) == list(on_disk[:5])


def test_a_split_stays_what_it_was_when_its_file_is_written_anew(on_disk: Split, tmp_path: Path) -> None:
    before = on_disk[0]
    clean((Row(f"another {n}", "ab"[n % 2]) for n in range(50)), DataConfig(path="rows.csv"), tmp_path)
    assert on_disk[0] == before
