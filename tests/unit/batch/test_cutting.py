"""Shards hold the records of the whole file, whatever its quotes and lines are, and a bad one costs only itself."""

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.batch import boundaries, cutting
from slipway.batch.cutting import ended
from slipway.batch.formats import Format
from slipway.batch.job import Job
from slipway.batch.planning import plan
from slipway.batch.rows import records, rows_of
from slipway.errors import BatchError
from tests.fuzz.files import Content, Held, shards

Batch = Callable[..., Any]


@pytest.fixture(autouse=True)
def field_limit() -> Iterator[None]:
    """The limit of csv is the process's, and short where ``MAX_RECORD`` is."""
    before = csv.field_size_limit()
    yield
    csv.field_size_limit(before)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "SHARD_ROWS", 25)
    monkeypatch.setattr(boundaries, "MAX_RECORD", 2_000)


def read_back(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize("at", [0, 10, 290, 299], ids=["first", "in a shard", "near the end", "last"])
@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.usefixtures("small")
def test_a_quote_that_nobody_closes_costs_its_row_wherever_it_stands(batch: Batch, at: int, columns: int) -> None:
    lines = [b"good film" + b",1" * (columns - 1)] * 300
    lines[at] = b'"never closed' + b",1" * (columns - 1)
    run = batch("x.csv", b"\n".join([b"text" + b",n" * (columns - 1), *lines]) + b"\n")
    document = run.all()
    assert (document["rows"], document["scored"], document["errors"]) == (300, 299, 1)
    (error,) = run.errors()
    assert error["row"] == at + 1
    assert error["reason"] == "A quote is opened in this row and never closed."
    assert [row[0] for row in read_back(run.results())] == ["text", *["good film"] * 299]


@pytest.mark.usefixtures("small")
def test_a_row_with_an_open_quote_is_no_part_of_a_question_either(batch: Batch) -> None:
    from slipway.batch.asking import question

    run = batch("x.csv", b'text\n"never closed\ngood film\n')
    made = run.plan()
    asked = question(made, run.shards()[0], run.source, run.place)
    assert b"good film" in asked
    assert b"never" not in asked


@pytest.mark.parametrize("header", [b'"text\n', b'id,"text\n'])
def test_a_header_whose_quote_is_never_closed_is_refused(batch: Batch, header: bytes) -> None:
    with pytest.raises(BatchError, match=r"header of x\.csv has a quote that is never closed"):
        batch("x.csv", header + b"good film\n" * 50).plan()


def test_a_header_may_have_newlines_in_its_quotes(batch: Batch) -> None:
    run = batch("x.csv", b'text,"a\nnumber"\ngood film,1\n')
    assert run.plan().format.columns == ("text", "a\nnumber")
    assert run.all()["scored"] == 1


@pytest.mark.parametrize("quote", [b"", b'5" '], ids=["regular", "irregular"])
def test_a_field_longer_than_csv_takes_costs_its_row_only(batch: Batch, quote: bytes) -> None:
    run = batch("x.csv", b"text,n\ngood film,1\n" + quote + b"x" * 5_000_000 + b",2\nbad film,3\n")
    document = run.all()
    assert (document["rows"], document["scored"]) == (3, 2)
    (error,) = run.errors()
    assert (error["row"], "2,097,152 fit" in error["reason"]) == (2, True)


@pytest.mark.parametrize("start", [b"text,n\n", b'text,n\n5" pipe,1\n', b'text,n\n"'], ids=["plain", "stray", "open"])
def test_a_csv_line_without_end_is_refused(batch: Batch, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(boundaries, "LONGEST_LINE", 4 << 20)
    with pytest.raises(BatchError, match="longer than 4 MB"):
        batch("x.csv", start + b"x" * (6 << 20)).plan()


def test_long_records_are_not_held_together() -> None:
    """A thousand of two megabytes each are more than there is memory."""
    line = b'5" pipe' + b"x" * (3 << 20) + b"\n"
    found = Format(kind="csv", delimiter=",", columns=("text",), quotes=False)
    sizes = [len(chunk) for chunk, _, _ in ended((line for _ in range(20)), found)]
    assert sum(sizes) == 20 * len(line)
    assert max(sizes) == len(line)


_bytes = st.lists(st.sampled_from([b"a", b"film", b",", b'"', b'"', b"\n", b"\n", b"\r", b"\0", b"\xe9"]), max_size=400)


@settings(max_examples=300, deadline=None)
@given(
    raw=_bytes.map(b"".join),
    longest=st.sampled_from([8, 64, 2 << 20]),
    rows=st.integers(1, 9),
    size=st.integers(1, 200),
    packed=st.booleans(),
)
def test_the_records_of_the_shards_are_those_of_the_whole(
    raw: bytes, longest: int, rows: int, size: int, packed: bool
) -> None:
    good = 9 + 3 * raw.count(b"\xe9")  # a file that is not UTF-8 in a quarter of its lines is refused
    data = b"text\n" + b"good film\n" * good + raw
    held = Held(gzip.compress(data) if packed else data)
    name = "x.csv.gz" if packed else "x.csv"
    job = Job(model="m", model_version="v", bucket="b", key=f"inbox/m/{name}", size=held.size, etag="e")
    with (
        mock.patch.object(boundaries, "MAX_RECORD", longest),
        mock.patch.multiple(cutting, SHARD_ROWS=rows, SHARD_BYTES=size),
        mock.patch("slipway.batch.streams.PART", 16),
    ):
        made = plan(job, Content(held), held)
        assert_read_as_planned(made, data, held)


def assert_read_as_planned(made: Any, data: bytes, held: Held) -> None:
    header, *whole = records(data, made.format)
    assert header == b"text\n"
    found, numbers = [], []
    for shard in shards(made, held):
        content = held.read(shard.cut)[0] if shard.cut else held.read_bytes(shard.start, shard.end)  # type: ignore[index]
        found += list(records(content, made.format))
        numbers += [row.number for row in rows_of(content, made.format, "text", first_row=shard.first_row)]
    blank = (b"\n", b"\r\n", b"\r")
    assert [each for each in found if each not in blank] == [each for each in whole if each not in blank]
    assert numbers == list(range(1, made.rows + 1))
