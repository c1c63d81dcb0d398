"""A text has one bin a statistic, and counts add up."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from slipway.drift.bins import STATISTICS, UNKNOWN_EDGES, Bins, add, texts_in
from slipway.encoding import Encoded
from tests.drift.conftest import EDGES, LABELS


def encoded(*ids: int, tokens: int = 0) -> Encoded:
    return Encoded((np.array(ids, np.int32),), tokens or len(ids))


@given(
    confidence=st.floats(0, 1), tokens=st.integers(1, 100_000), label=st.sampled_from(LABELS), unknown=st.integers(0, 9)
)
def test_every_text_has_a_bin(confidence: float, tokens: int, label: str, unknown: int) -> None:
    bins = Bins(LABELS, EDGES, unknown_id=1)
    counts = bins.count(
        [bins.place(label, confidence, encoded(*[1] * unknown, *[5] * (9 - unknown), 2, tokens=tokens))]
    )
    assert {name: sum(counts[name]) for name in STATISTICS} == dict.fromkeys(STATISTICS, 1)
    for name, value in (("confidence", confidence), ("tokens", tokens), ("unknown", unknown / 10)):
        index = counts[name].index(1)
        edges = [float("-inf"), *EDGES[name], float("inf")]
        assert edges[index] < value <= edges[index + 1]


def test_all_windows_of_a_long_text_count_for_its_unknown_tokens(bins: Bins) -> None:
    text = Encoded((np.array([1, 1, 2], np.int32), np.array([3, 4, 5], np.int32)), 6)
    assert bins.place("good", 0.9, text)[3] == bins.place("good", 0.9, encoded(1, 2, 4))[3] == 3


def test_a_vocabulary_that_lacks_nothing_has_no_unknown_tokens() -> None:
    assert Bins(LABELS, EDGES, None).place("bad", 0.5, encoded(1, 1, 1))[3] == 0


def test_a_text_without_a_token_has_a_place(bins: Bins) -> None:
    assert bins.place("bad", 0.5, encoded()) == (0, 0, 0, 0)


def test_counts_add_up(bins: Bins) -> None:
    one = bins.count([bins.place("bad", 0.6, encoded(2, 3)), bins.place("good", 0.99, encoded(1, 1))])
    both = add(one, one)
    assert texts_in(both) == 4
    assert both["labels"] == [2, 0, 2]
    assert texts_in(one) == 2


def test_bins_have_names_that_people_read(bins: Bins) -> None:
    assert bins.names("labels") == [*LABELS]
    for name, size in bins.sizes().items():
        assert len(bins.names(name)) == size
    assert bins.names("unknown") == ["up to 0 %", "to 5 %", "to 20 %", "to 50 %", "above 50 %"]
    assert len(UNKNOWN_EDGES) == 4
