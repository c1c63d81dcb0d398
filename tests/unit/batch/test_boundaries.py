"""Records found in chunks are those that Python finds in the whole."""

import csv
import io
import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.batch.boundaries import MAX_RECORD, Boundaries, IrregularQuotes, irregular_records, split_lines

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
    """Never differently in silence."""
    data = text.encode()
    try:
        records, _ = found(cut(data, at), ",")
    except IrregularQuotes:
        records = list(irregular_records(split_lines(cut(data, at)), ","))
    assert b"".join(records) == data
    assert [parsed(record, ",")[0] for record in records] == parsed(data, ",")


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
