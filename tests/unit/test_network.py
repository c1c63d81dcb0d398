"""Packing and padding."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.network import RUN_TOKENS, pack, pad

_lengths = st.lists(st.integers(1, 200), min_size=1, max_size=60)


@settings(deadline=None)
@given(lengths=_lengths, budget=st.integers(1, 600))
def test_packs_hold_every_index_once_sorted_and_within_the_budget(lengths: list[int], budget: int) -> None:
    packs = pack(lengths, budget)
    flat = [index for indices in packs for index in indices]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[index] for index in flat] == sorted(lengths)
    for indices in packs:
        longest = max(lengths[index] for index in indices)
        assert len(indices) == 1 or len(indices) * longest <= budget


@given(lengths=_lengths, budget=st.integers(1, 600))
def test_no_pack_could_have_taken_the_next_text_for_less_than_a_run(lengths: list[int], budget: int) -> None:
    packs = pack(lengths, budget)
    for indices, following in itertools.pairwise(packs):
        padding = len(indices) * (lengths[following[0]] - lengths[indices[-1]])
        assert (len(indices) + 1) * lengths[following[0]] > budget or padding > RUN_TOKENS


@given(lengths=_lengths, budget=st.integers(1, 600))
def test_packing_never_costs_more_than_a_run_for_each_text(lengths: list[int], budget: int) -> None:
    packs = pack(lengths, budget)
    padded = sum(len(indices) * lengths[indices[-1]] for indices in packs)
    assert padded + RUN_TOKENS * len(packs) <= sum(lengths) + RUN_TOKENS * len(lengths)


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=9), min_size=1, max_size=9))
def test_padding_fills_to_the_longest_and_changes_no_token(rows: list[list[int]]) -> None:
    batch = pad([np.array(row, np.int32) for row in rows], 0)
    assert batch.shape == (len(rows), max(map(len, rows)))
    assert batch.dtype == np.int32
    assert [[token for token in row if token] for row in batch.tolist()] == rows
    assert all(not any(padded[len(row) :]) for padded, row in zip(batch.tolist(), rows, strict=True))
