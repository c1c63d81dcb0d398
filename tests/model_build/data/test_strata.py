"""Who goes into which split: seeded, at the configured shares, every label everywhere it must be."""

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_build.data.splits import SPLITS, Indices, LabelSets
from model_build.data.strata import by_combination, by_label, complete_training, draw, shuffle
from model_build.sections import DataConfig


def config(dev: float = 0.1, test: float = 0.1, seed: int = 13) -> DataConfig:
    return DataConfig(path="rows.csv", dev=dev, test=test, seed=seed)


def sets_of(rows: Sequence[tuple[int, ...]]) -> tuple[LabelSets, Indices]:
    """Rows of a multi-label task, with a number for each set."""
    codes = np.array([code for row in rows for code in row], np.uint16)
    return LabelSets(codes, np.cumsum([0, *map(len, rows)])), np.array([hash(row) for row in rows])


@given(st.integers(0, 300), st.integers(0, 9))
def test_a_shuffle_is_the_one_of_random_sample(count: int, seed: int) -> None:
    rows = np.arange(count) * 3
    one, other = random.Random(seed), random.Random(seed)
    assert shuffle(rows, one).tolist() == other.sample(rows.tolist(), count)
    assert one.random() == other.random()


@given(
    st.lists(st.integers(3, 60), min_size=2, max_size=5),
    st.floats(0.01, 0.49),
    st.floats(0.01, 0.49),
    st.integers(0, 9),
)
@settings(max_examples=60)
def test_every_label_is_in_every_split_at_its_share(counts: list[int], dev: float, test: float, seed: int) -> None:
    if dev + test > 0.6:
        dev, test = dev / 2, test / 2
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.uint16)
    strata = by_label(np.arange(len(labels)), LabelSets(labels), len(counts))
    found = {name: Counter(labels[rows].tolist()) for name, rows in draw(strata, config(dev, test, seed)).items()}
    for label, count in enumerate(counts):
        assert sum(found[name][label] for name in SPLITS) == count
        assert all(found[name][label] >= 1 for name in SPLITS)
        for name, share in (("dev", dev), ("test", test)):
            assert found[name][label] == max(1, round(share * count))


@given(st.lists(st.frozensets(st.integers(0, 5), max_size=4).map(lambda s: tuple(sorted(s))), min_size=3, max_size=80))
def test_a_multi_label_draw_loses_nothing_and_trains_on_every_label(rows: list[tuple[int, ...]]) -> None:
    sets, combinations = sets_of(rows)
    everything = np.arange(len(rows))
    present = sorted({code for row in rows for code in row})
    sets = LabelSets(np.searchsorted(present, sets.codes).astype(np.uint16), sets.starts)
    strata = by_combination(everything, sets, combinations, config())
    assert sorted(np.concatenate(strata).tolist()) == everything.tolist()
    drawn = complete_training(draw(strata, config()), sets, len(present))
    assert sorted(np.concatenate(list(drawn.values())).tolist()) == everything.tolist()
    assert {label for row in drawn["train"] for label in sets.of(row)} == set(range(len(present)))


def test_a_frequent_set_of_labels_is_cut_at_its_shares_and_rare_ones_go_by_their_rarest_label() -> None:
    rows = [(0,)] * 50 + [(0, 1)] * 20 + [(0, 2)] * 5 + [(1, 2)] * 5 + [()] * 10
    sets, combinations = sets_of(rows)
    strata = by_combination(np.arange(len(rows)), sets, combinations, config())
    assert sorted(sorted({rows[row] for row in stratum}) for stratum in strata) == [
        [()],
        [(0,)],
        [(0, 1)],
        [(0, 2), (1, 2)],
    ]
    assert sorted(len(rows) for rows in draw(strata, config()).values()) == [9, 9, 72]


@pytest.mark.parametrize("count", [1, 2])
def test_a_stratum_too_small_to_share_is_trained_on(count: int) -> None:
    drawn = draw([np.arange(count), np.arange(10, 40)], config())
    assert set(range(count)) <= set(drawn["train"].tolist())


def test_other_rows_do_not_change_how_the_first_label_is_cut() -> None:
    first = draw([np.arange(30), np.arange(30, 60)], config())
    second = draw([np.arange(30), np.arange(30, 90)], config())
    assert {row for row in first["test"].tolist() if row < 30} == {row for row in second["test"].tolist() if row < 30}
