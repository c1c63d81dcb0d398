"""Counts of processes: they add up, travel as JSON, and a damaged record is nothing."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from slipway.bakes.records import Records
from slipway.bakes.tally import Counts, Tally, add, bucket_of
from slipway.releases import Canary, new_live
from tests.conftest import BUCKET

_small = st.integers(0, 10_000)
_tallies = st.builds(
    Tally, requests=_small, failures=_small, times=st.dictionaries(st.integers(-80, 200), _small, max_size=9)
)
_counts = st.builds(
    Counts, live=_tallies, canary=_tallies, compared=_small, disagreements=_small, refused=st.text(max_size=20)
)


@given(_counts)
def test_counts_survive_their_json(counts: Counts) -> None:
    assert Counts.from_json(counts.to_json()) == counts


@given(
    st.binary(max_size=40)
    | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(lambda d: json.dumps(d).encode())
)
def test_anything_else_is_no_record(raw: bytes) -> None:
    assert Counts.from_json(raw) is None


@pytest.mark.parametrize("change", [{"compared": -1}, {"compared": 1.5}, {"live": {}}, {"canary": None}])
def test_a_record_with_an_impossible_count_is_no_record(change: dict[str, object]) -> None:
    assert Counts.from_json(json.dumps(json.loads(Counts().to_json()) | change).encode()) is None


@given(st.lists(_counts, max_size=4))
def test_counts_add_up(records: list[Counts]) -> None:
    total = add(records)
    assert total.canary.requests == sum(counts.canary.requests for counts in records)
    assert total.live.timed() == sum(counts.live.timed() for counts in records)
    assert bool(total.refused) == any(counts.refused for counts in records)


@given(st.lists(st.floats(0.01, 30_000), min_size=1, max_size=60), st.sampled_from([0.5, 0.95]))
def test_a_quantile_is_the_bucket_of_the_time_at_that_place(times: list[float], part: float) -> None:
    tally = Tally()
    for time in times:
        tally.note(time)
    bucket = tally.quantile(part)
    at_most = sum(bucket_of(time) <= bucket for time in times)
    below = sum(bucket_of(time) < bucket for time in times)
    assert below < part * len(times) <= at_most


def test_records_are_of_one_pointer_and_replace_each_other_by_process(bucket: str) -> None:
    assert bucket == BUCKET
    live = new_live("a", "promote", by="ada", why="", after=None)
    first = new_live("a", "canary", by="ada", why="", after=live, canary=Canary("b", 0.1))
    second = new_live("a", "canary", by="ada", why="", after=first, canary=Canary("b", 0.2))
    records = Records(bucket, "demo")
    records.write(first, "one", Counts(compared=3).to_json())
    records.write(first, "one", Counts(compared=5).to_json())
    records.write(first, "two", Counts(compared=7, disagreements=2).to_json())
    records.write(second, "one", b"damaged")
    assert records.total(first) == Counts(compared=12, disagreements=2)
    assert records.total(second) == Counts()
    assert Records(bucket, "other").total(first) == Counts()
