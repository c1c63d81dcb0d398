"""Records found in chunks are those that Python finds in the whole."""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.batch import boundaries as module
from slipway.batch.boundaries import (
    MAX_RECORD,
    Boundaries,
    IrregularQuotes,
    ends_in_quotes,
    irregular_records,
    split_lines,
)
from slipway.errors import BatchError

_fields = st.text(st.sampled_from('ab,;\t|"\r\n é🎉\x0b\u2028'), max_size=8)
_tables = st.lists(st.lists(_fields, min_size=1, max_size=4), min_size=1, max_size=12)
_cuts = st.lists(st.integers(0, 400), max_size=12)


def cut(data: bytes, at: Iterable[int]) -> list[bytes]:
    """The data in chunks, none of which ends in a carriage return, as ``planning`` sees to."""
    places = sorted({0, len(data), *(place for place in at if place < len(data) and data[place - 1 : place] != b"\r")})
    return [data[start:end] for start, end in itertools.pairwise(places)]


def found(chunks: list[bytes], delimiter: str = "", *, blanks: bool = False) -> tuple[list[bytes], list[bool]]:
    """Records, put together from the chunks, and which of them are rows."""
    boundaries = Boundaries(delimiter, blanks=blanks)
    records, rows, rest = [], [], b""
    for chunk, last in [*((chunk, False) for chunk in chunks), (b"", True)]:
        ends = boundaries.ends(chunk, last=last)
        start = 0
        for end in ends.offsets.tolist():
            records.append(rest + chunk[start:end])
            rest, start = b"", end
        rest += chunk[start:]
        rows += ends.rows.tolist()
    assert rest == b""
    return records, rows


def as_csv(table: list[list[str]], delimiter: str, newline: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=newline).writerows(table)
    return out.getvalue().encode()


def parsed(data: bytes, delimiter: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))


def one_by_one(data: bytes, delimiter: str, longest: int = MAX_RECORD) -> list[bytes]:
    """The records as Python's csv asks for their lines; the first line alone where it asks for too much or too many."""
    lines, records = data.splitlines(keepends=True), []
    while lines:
        reader = csv.reader([*(line.decode("latin-1") for line in lines), '"'], delimiter=delimiter)
        next(reader)
        taken = reader.line_num
        if taken > len(lines) or len(b"".join(lines[:taken])) > longest:
            taken = 1
        records.append(b"".join(lines[:taken]))
        del lines[:taken]
    return records


def records_of(chunks: list[bytes], delimiter: str) -> list[bytes]:
    """As a file's are found."""
    try:
        return found(chunks, delimiter)[0]
    except IrregularQuotes:
        return list(irregular_records(split_lines(chunks), delimiter))


@pytest.fixture(autouse=True)
def field_limit() -> Iterator[None]:
    """The limit of csv is the process's, and short where ``MAX_RECORD`` is."""
    before = csv.field_size_limit()
    yield
    csv.field_size_limit(before)


@settings(max_examples=400, deadline=None)
@given(table=_tables, delimiter=st.sampled_from(",;\t|"), newline=st.sampled_from(["\n", "\r\n", "\r"]), at=_cuts)
def test_csv_cut_anywhere_has_the_records_that_python_reads_whole(
    table: list[list[str]], delimiter: str, newline: str, at: list[int]
) -> None:
    data = as_csv(table, delimiter, newline)
    records, rows = found(cut(data, at), delimiter)
    assert b"".join(records) == data
    whole = parsed(data, delimiter)
    assert [parsed(record, delimiter)[0] for record in records] == whole
    assert rows == [bool(row) for row in whole]


@settings(max_examples=200, deadline=None)
@given(table=_tables, delimiter=st.sampled_from(",;\t|"), newline=st.sampled_from(["\n", "\r\n"]), at=_cuts)
def test_record_by_record_gives_the_same(table: list[list[str]], delimiter: str, newline: str, at: list[int]) -> None:
    data = as_csv(table, delimiter, newline)
    assert list(irregular_records(split_lines(cut(data, at)), delimiter)) == found([data], delimiter)[0]


@settings(max_examples=400, deadline=None)
@given(text=st.text(st.sampled_from('ab,"\n'), max_size=60), at=_cuts)
def test_quotes_anywhere_are_refused_or_read_as_python_reads_them(text: str, at: list[int]) -> None:
    """Never differently in silence, but for a quote that nobody closes."""
    data = text.encode()
    records = records_of(cut(data, at), ",")
    assert records == one_by_one(data, ",")
    if not any(ends_in_quotes(record, ",") for record in records):
        assert [parsed(record, ",")[0] for record in records] == parsed(data, ",")


_bytes = st.lists(st.sampled_from([*b'ab,"\n\r\0\xe9', *b'""\n']), max_size=300).map(bytes)


@settings(max_examples=600, deadline=None)
@given(data=_bytes, longest=st.integers(1, 64), at=_cuts, ends=st.sets(st.integers(0, 200)))
def test_shards_read_alone_have_the_records_of_the_whole(
    data: bytes, longest: int, at: list[int], ends: set[int]
) -> None:
    """Whatever the bytes, the longest record, the chunks, and the records that a shard ends with."""
    with mock.patch.object(module, "MAX_RECORD", longest):
        records = records_of(cut(data, at), ",")
        assert records == list(irregular_records(split_lines(cut(data, at)), ","))
        assert b"".join(records) == data
        places = [0, *(end for end in sorted(ends) if 0 < end < len(records)), len(records)]
        shards = [b"".join(records[start:end]) for start, end in itertools.pairwise(places)]
        assert [record for shard in shards for record in records_of([shard], ",")] == records
        csv.field_size_limit(MAX_RECORD)
        assert [record.replace(b"\0", b"0") for record in records] == one_by_one(
            data.replace(b"\0", b"0"), ",", longest
        )


@pytest.mark.parametrize(
    ("record", "still_open"),
    [
        (b'a,"b', True), (b'"a""', True), (b'5" pipe,"b', True), (b'a"b","c\n', True), (b'"\n', True),
        (b'5" pipe', False), (b'"a""b"', False), (b'"a\nb"\r\n', False), (b"a", False), (b"\n", False), (b"", False),
    ],
)  # fmt: skip
def test_a_quote_is_open_at_the_end_where_csv_asks_for_more(record: bytes, still_open: bool) -> None:
    assert ends_in_quotes(record, ",") is still_open


@pytest.mark.parametrize("longest", [64, 1 << 20])
def test_quotes_that_are_never_closed_in_every_line_take_no_longer_than_the_lines(longest: int) -> None:
    """Each of them is open at its end, whether a quote was open before or not."""
    lines = [b'x","\n'] * 20_000
    with mock.patch.object(module, "MAX_RECORD", longest), mock.patch.object(csv, "reader", wraps=csv.reader) as reader:
        assert list(irregular_records(lines, ",")) == lines
    assert reader.call_count <= 2 * len(lines)


@settings(max_examples=200, deadline=None)
@given(lines=st.lists(st.text(st.characters(exclude_characters="\n"), max_size=9), max_size=12), at=_cuts)
def test_lines_cut_anywhere_are_the_lines(lines: list[str], at: list[int]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")
    for whole in (data, data.removesuffix(b"\n")):
        records, rows = found(cut(whole, at))
        assert b"".join(records) == whole
        assert records == whole.splitlines(keepends=True) or b"\r" in whole
        assert rows == [record not in (b"\n", b"\r\n", b"\r") for record in records]
        assert all(found(cut(whole, at), blanks=True)[1])


def test_a_quote_that_nobody_closes_costs_its_line_and_not_the_file() -> None:
    line = b"0123456789abcdef,good\n"
    lines = [b"a,b\n", b'"never closed,x\n', *[line] * (MAX_RECORD // len(line) + 10), b"last,row\n"]
    data = b"".join(lines)
    with pytest.raises(IrregularQuotes):
        found([data[start : start + 65_536] for start in range(0, len(data), 65_536)], ",")
    assert list(irregular_records(iter(lines), ",")) == lines


def test_a_quote_that_is_open_where_the_file_ends_is_irregular() -> None:
    with pytest.raises(IrregularQuotes):
        found([b'a,b\n"never closed,x\nlast,row\n'], ",")


@pytest.mark.parametrize("quote", [b"", b'"', b'5" '])
def test_a_field_longer_than_csv_takes_is_a_record_of_its_own(quote: bytes) -> None:
    lines = [b"text,n\n", quote + b"x" * (2 * MAX_RECORD + 9) + b",2\n", b'5" pipe,3\n']
    assert list(irregular_records(lines, ",")) == lines
    assert not ends_in_quotes(lines[1], ",")


def test_a_quote_in_the_middle_of_a_field_is_irregular() -> None:
    with pytest.raises(IrregularQuotes):
        found([b'size,5" pipe\n'], ",")


def test_the_ends_are_offsets_in_the_chunk() -> None:
    boundaries = Boundaries(",")
    assert boundaries.ends(b'a,"x').offsets.tolist() == []
    assert boundaries.ends(b'\ny"\nb').offsets.tolist() == [4]
    assert boundaries.open == 1
    last = boundaries.ends(b"", last=True)
    assert (last.offsets.tolist(), last.rows.tolist()) == ([0], [True])


@given(st.lists(st.binary(max_size=6).map(lambda part: part.replace(b"x", b"\r\n")), max_size=20))
def test_split_lines_is_splitlines(chunks: list[bytes]) -> None:
    assert list(split_lines(chunks)) == b"".join(chunks).splitlines(keepends=True)


def test_a_line_without_end_is_copied_once_and_refused_in_the_end() -> None:
    rounds = 64 << 10
    with pytest.raises(BatchError, match="longer than 64 MB"):
        list(split_lines(b"x" * 1_024 for _ in range(rounds + 1)))
    line = b"x" * 1_024 * rounds + b"\n"
    assert next(split_lines(line[at : at + 1_024] for at in range(0, len(line), 1_024))) == line
