"""Rows that are read together are those that are read one by one, whatever stands between good ones."""

import csv
import json
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.batch import rows
from slipway.batch.formats import Format
from slipway.batch.rows import Row, rows_of

CSV = Format(kind="csv", delimiter=",", columns=("text", "n"))
JSONL, TEXT = Format(kind="jsonl"), Format(kind="text")

_mess = st.text(st.sampled_from('ab,;"\r\n\0 \x0b\u2028é🎉{}[]\\\t'), max_size=12)
_plain = st.text("ab é", max_size=6)
_bytes = st.sampled_from([b"", b"\0", b"\xff,1", b"a,\xed\xa0\x80", b'{"text": "\xff"}'])
_csv = st.one_of(
    st.builds("{},{}".format, _plain, _plain),
    st.builds(lambda *cells: ",".join('"' + cell.replace('"', '""') + '"' for cell in cells), _mess, _plain),
    st.sampled_from(["a,b,c", "a", " ,1", "\0,1", '5" pipe,1', ' "a",1', '"a"b,1', '"open,1', '"a\rb",1', "\r"]),
)
_json = st.one_of(
    st.builds(lambda text: json.dumps({"n": 1, "text": text}, ensure_ascii=False), _mess),
    _mess.map(json.dumps),
    st.sampled_from(
        ['{"text": "\\ud83d"}', '{"text": 5}', '{"txt": "a"}', ' {"text": "a"}', '{"text": "a"} ', '{"text": "a"}x']
    ),
    st.sampled_from(["{", "[1]", "null", "[" * 5_000, '{"text": ' + "[" * 5_000, '{"n": ' + "9" * 5_000 + "}"]),
)


def files(records: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """Good records and bad ones, with ends of all kinds."""
    record = st.one_of(records.map(str.encode), records.map(str.encode), _mess.map(str.encode), _bytes)
    pairs = st.lists(st.tuples(record, st.sampled_from([b"\n", b"\r\n", b"\r", b""])), max_size=10)
    return pairs.map(lambda found: b"".join(raw + end for raw, end in found))


def read(data: bytes, found: Format, together: int = 128) -> list[Row]:
    with mock.patch.object(rows, "_TOGETHER", together):
        return list(rows_of(data, found, "text", first_row=7))


def assert_read_alike(data: bytes, found: Format) -> list[Row]:
    alone = read(data, found, 1)
    for together in (2, 3, 128):
        assert repr(read(data, found, together)) == repr(alone)
    return alone


@settings(max_examples=200, deadline=None)
@given(data=files(_csv), columns=st.sampled_from([("text", "n"), ("n", "text"), ("text",)]))
def test_csv_is_what_python_reads_of_each_record(data: bytes, columns: tuple[str, ...]) -> None:
    found = Format(kind="csv", delimiter=",", columns=columns, quotes=False)
    for row in assert_read_alike(data, found):
        if row.text is not None:
            ((*fields,),) = csv.reader([row.raw.decode()])
            assert (len(fields), fields[columns.index("text")]) == (len(columns), row.text)


@settings(max_examples=100, deadline=None)
@given(cells=st.lists(st.tuples(_mess, _mess), max_size=9), end=st.sampled_from(["\n", "\r\n"]))
def test_csv_that_is_written_by_the_rules_is_read_together(cells: list[tuple[str, str]], end: str) -> None:
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in pair) + end for pair in cells]
    found = assert_read_alike("".join(lines).encode(), CSV)
    assert [row.raw + row.end for row in found] == [line.encode() for line in lines]
    assert all(row.text in {text, None} for row, (text, _) in zip(found, cells, strict=True))


@settings(max_examples=200, deadline=None)
@given(data=files(_json))
def test_json_is_what_python_reads_of_each_record(data: bytes) -> None:
    for row in assert_read_alike(data, JSONL):
        if row.text is not None:
            assert row.content == json.loads(row.raw)
            assert row.text == (row.content["text"] if isinstance(row.content, dict) else row.content)


@settings(max_examples=100, deadline=None)
@given(data=files(st.one_of(_mess, _csv, _json)))
def test_lines_are_kept_as_they_are(data: bytes) -> None:
    found = assert_read_alike(data, TEXT)
    assert b"".join(row.raw + row.end for row in found) == data
    assert all(row.text in {row.raw.decode("utf-8", "replace"), None} for row in found)
    assert [row.number for row in found] == [*range(7, 7 + len(found))]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b'"open,1', "The row has 1 columns, the header has 2."),
        (b'a"b\rc",1', "The row is not CSV: new-line character seen in unquoted field"),
        (b"a", "The row has 1 columns, the header has 2."),
        (b",1", "text is empty."),
        (b"\0,1", "text has a NUL character at 0"),
        (b"a\xff,1", "Byte 2 of the row is not UTF-8."),
        (b"x" * 2_200_000, "The row has 2,200,000 bytes; 2,097,152 fit."),
        (b"x" * 400_001 + b",1", "text has 400,001 bytes; 400,000 fit."),
    ],
)
def test_a_bad_record_among_good_ones_costs_only_itself(record: bytes, reason: str) -> None:
    good = [b'"good",1', b"good,1"]
    with mock.patch.object(rows, "records", return_value=iter([*good, record, *good])):
        found = read(b"", CSV)
    assert [row.text for row in found] == ["good", "good", None, "good", "good"]
    assert [row.number for row in found] == [*range(7, 12)]
    assert found[2].reason.startswith(reason)


def test_good_records_are_read_once() -> None:
    data = b"".join(b"good %d,1\n" % number for number in range(300))
    with mock.patch.object(rows, "_row", side_effect=AssertionError):
        assert [row.text for row in read(data, CSV)] == [f"good {number}" for number in range(300)]
