"""A file that takes several steps to look through has the plan that one step makes."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.batch import cutting
from slipway.batch.places import Folder
from slipway.batch.planning import go_on_planning
from slipway.errors import BatchError

Batch = Callable[..., Any]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "SHARD_ROWS", 4)
    monkeypatch.setattr("slipway.batch.streams.PART", 64)
    monkeypatch.setattr("slipway.batch.sources.CHUNK", 64)


def planned_in_steps(run: Any, time_left: Callable[[], float] = lambda: 0.0) -> int:
    """Plan in as many steps as it takes; returns how many."""
    steps = 1
    while go_on_planning(run.job, run.source, run.place, time_left=time_left) is None:
        steps += 1
    return steps


def outcome(run: Any) -> tuple[Any, Any]:
    return run.plan(), run.shards()


def same_in_steps(batch: Batch, name: str, data: bytes, time_left: Callable[[], float] = lambda: 0.0) -> int:
    whole, run = batch(name, data), batch(name, data)
    steps = planned_in_steps(run, time_left)
    assert outcome(run) == outcome(whole)
    return steps


def rows_of_csv(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([["text", "n"], *rows])
    return out.getvalue().encode()


ROWS = [[f"the film {'no. ' * (n % 5)}{n}\n“filler” 🎉", str(n)] for n in range(60)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.csv", rows_of_csv(ROWS)),
        ("bom.csv", b"\xef\xbb\xbf" + rows_of_csv(ROWS)),
        ("blank.csv", b"text\n" + b"\n" * 300 + b"a\n" * 30 + b"\n" * 300 + b"b\n" * 30),
        ("returns.csv", b"text\r" + b"a film\r" * 100),
        ("x.txt", "".join(f"{text} {n}\n" for text, n in ROWS).encode()),
        ("x.jsonl", b"".join(json.dumps({"text": text}).encode() + b"\n" for text, _ in ROWS)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_steps_make_the_plan_of_one_step(batch: Batch, name: str, data: bytes) -> None:
    assert same_in_steps(batch, name, data) > 5


def test_a_quote_that_ends_the_rules_late_starts_the_plan_anew(batch: Batch) -> None:
    data = b"text,n\n" + b"".join(b'"a film, %d",1\n' % n for n in range(50)) + b'a 5" disc,1\n"b",2\n' * 10
    assert same_in_steps(batch, "x.csv", data) > 5


def test_a_name_of_ours_that_an_earlier_step_saw_is_kept_free(batch: Batch) -> None:
    rows = [{"text": "a film", "label": "mine"}, *({"text": f"film {n}"} for n in range(50))]
    run = batch("x.jsonl", b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    assert planned_in_steps(run) > 5
    assert "slipway_label" in run.plan().added


def test_a_step_that_is_killed_costs_only_itself(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, run = batch("x.csv", rows_of_csv(ROWS)), batch("x.csv", rows_of_csv(ROWS))
    write = Folder.write
    kills = iter([True, False] * 100)

    def killed(self: Folder, name: str, chunks: Any) -> int:
        if name.endswith("planning.json") and next(kills):
            raise KeyboardInterrupt
        return write(self, name, chunks)

    monkeypatch.setattr(Folder, "write", killed)
    planned: Any = None
    while planned is None:
        try:
            planned = go_on_planning(run.job, run.source, run.place, time_left=lambda: 0.0)
        except KeyboardInterrupt:
            continue
    assert outcome(run) == outcome(whole)


@pytest.mark.parametrize("name", ["x.csv.gz", "x.csv"])
def test_what_can_only_be_read_from_its_beginning_says_so(batch: Batch, name: str) -> None:
    text = rows_of_csv(ROWS)
    data = gzip.compress(text) if name.endswith(".gz") else b"\xff\xfe" + text.decode().encode("utf-16-le")
    run = batch(name, data)
    with pytest.raises(BatchError, match="longer than one function can read") as refused:
        go_on_planning(run.job, run.source, run.place, time_left=lambda: 0.0)
    assert "Spark" in str(refused.value)


_CELL = st.text(st.sampled_from('ab"\n\r, é🎉'), max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(_CELL, _CELL), min_size=1, max_size=60), times=st.lists(st.sampled_from([0.0, 999.0])))
def test_whatever_the_file_and_wherever_it_stops(batch: Batch, rows: list[Any], times: list[float]) -> None:
    left = iter(times)
    same_in_steps(batch, "x.csv", rows_of_csv([["a", "1"], *map(list, rows)]), lambda: next(left, 999.0))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=400).map(lambda raw: b"text,n\n" + raw.replace(b"\0", b'"') + b"\nx,1\n"))
def test_bytes_that_are_no_proper_csv(batch: Batch, data: bytes) -> None:
    try:
        batch("x.csv", data).plan()
    except BatchError:
        return
    same_in_steps(batch, "x.csv", data)


def test_nothing_of_the_mark_is_needed_afterwards(batch: Batch) -> None:
    run = batch("x.csv", rows_of_csv(ROWS))
    planned_in_steps(run)
    mark = run.place.root / f"{run.job.folder}planning.json"
    mark.write_text("{")
    assert run.all()["rows"] == len(ROWS)
