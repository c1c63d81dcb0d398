"""A shard's bytes to rows: each has its text, or the reason why it has none. No row takes another one with it."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from slipway.batch.boundaries import MAX_RECORD, Boundaries, irregular_records, split_lines
from slipway.batch.formats import Format, text_column
from slipway.errors import RequestError
from slipway.requests import named, read_text

MAX_TEXT = 400_000  # bytes; about the 100,000 tokens that one request over HTTP may have
_TOGETHER = 128  # rows; a broken one costs the time to read these again

Record = tuple[bytes, bytes]  # as it was, without its end, and that end
Read = Callable[[Sequence[str], str], Iterator[tuple[Any, Any]]]  # records and the column to each one's content, text


class BrokenRow(Exception):
    """Why a row cannot be scored: a sentence for the file's owner, without the text."""


class Row(NamedTuple):
    """``raw`` is the record as it was, without its end, ``end`` that end. ``text`` is None if there is a ``reason``.

    ``content`` is for whoever writes the row again: what a line of JSON parsed to, a Parquet row's place in its batch.
    """

    number: int
    raw: bytes
    end: bytes
    text: str | None
    reason: str = ""
    content: Any = None


def rows_of(data: bytes, found: Format, column: str, *, first_row: int) -> Iterator[Row]:
    """The rows of one shard of a file that is not Parquet, without a CSV's header.

    Blank lines are no rows, but in plain text, where a row of results must stand beside each line.
    """
    read: Read = {"jsonl": _read_json, "text": _read_lines}.get(found.kind) or _csv_reader(found, column)
    kept = (record for record in map(split_end, records(data, found)) if record[0] or found.kind == "text")
    number = first_row
    while together := list(islice(kept, _TOGETHER)):
        yield from _rows(number, together, read, column)
        number += len(together)


def records(data: bytes, found: Format) -> Iterator[bytes]:
    """Records with their ends."""
    if found.quotes:
        start = 0
        for end in Boundaries(found.delimiter, blanks=True).ends(data, last=True).offsets.tolist():
            yield data[start:end]
            start = end
    else:
        yield from irregular_records(split_lines([data]), found.delimiter)


def split_end(record: bytes) -> tuple[bytes, bytes]:
    r"""A record and what ends it.

    >>> split_end(b"a\r\n"), split_end(b"b")
    ((b'a', b'\r\n'), (b'b', b''))
    """
    raw = record.removesuffix(b"\n")
    raw = raw.removesuffix(b"\r")
    return raw, record[len(raw) :]


def checked_text(value: Any, column: str) -> str:
    """A text that can be scored. Raises BrokenRow."""
    try:
        text = read_text(value, column)
    except RequestError as error:
        raise BrokenRow(str(error)) from error
    if "\0" in text:
        raise BrokenRow(f"{column} has a NUL character at {text.index(chr(0))}, which no text has.")
    if len(text) > MAX_TEXT // 4 and (size := len(text.encode())) > MAX_TEXT:
        raise BrokenRow(f"{column} has {size:,} bytes; {MAX_TEXT:,} fit.")
    return text


def _rows(first: int, together: Sequence[Record], read: Read, column: str) -> list[Row]:
    """Read in one go where every record is good, which is more than twice as fast; else one by one."""
    try:
        return _good_rows(first, together, read, column)
    except (BrokenRow, ValueError):  # ValueError: a quote that nobody closed took the next record with it
        return [_row(number, record, read, column) for number, record in enumerate(together, first)]


def _good_rows(first: int, together: Sequence[Record], read: Read, column: str) -> list[Row]:
    """Raises BrokenRow if any record is none, ValueError if ``read`` finds more or fewer records."""
    lines = [_decoded(raw) for raw, _ in together]
    found = zip(together, read(lines, column), strict=True)
    return [
        Row(number, raw, end, checked_text(text, column), "", content)
        for number, ((raw, end), (content, text)) in enumerate(found, first)
    ]


def _row(number: int, record: Record, read: Read, column: str) -> Row:
    try:
        return _good_rows(number, [record], read, column)[0]
    except BrokenRow as error:
        return Row(number, *record, None, str(error))


def _decoded(raw: bytes) -> str:
    if len(raw) > MAX_RECORD:
        raise BrokenRow(f"The row has {len(raw):,} bytes; {MAX_RECORD:,} fit.")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BrokenRow(f"Byte {error.start + 1} of the row is not UTF-8.") from error


def _read_lines(lines: Sequence[str], _: str) -> Iterator[tuple[Any, Any]]:
    return ((None, line) for line in lines)


def _read_json(lines: Sequence[str], column: str) -> Iterator[tuple[Any, Any]]:
    for line in lines:
        document = _parsed(line)
        if isinstance(document, str):
            yield document, document
            continue
        if not isinstance(document, dict):
            raise BrokenRow(f"The row must be a JSON object or a text, not {named(document)}.")
        if column not in document:
            raise BrokenRow(f"The row has no {column!r}.")
        yield document, document[column]


def _parsed(line: str) -> Any:
    try:
        if line.startswith("{"):  # ``loads`` takes as long to look for spaces around it as to read a short one
            document, end = _decode(line)
            if end == len(line):
                return document
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise BrokenRow(f"The row is not JSON: {error.msg} at column {error.colno}.") from error
    except (ValueError, RecursionError) as error:
        raise BrokenRow("The row is JSON that nobody writes: its numbers or its nesting have no end.") from error


_decode = json.JSONDecoder().raw_decode


def _csv_reader(found: Format, column: str) -> Read:
    index, width = text_column(found.columns, column, "The file"), len(found.columns)
    csv.field_size_limit(2 * MAX_RECORD)

    def read(lines: Sequence[str], _: str) -> Iterator[tuple[Any, Any]]:
        try:
            for fields in _fields(lines, found.delimiter):
                if len(fields) != width:
                    raise BrokenRow(f"The row has {len(fields)} columns, the header has {width}.")
                yield None, fields[index]
        except csv.Error as error:
            raise BrokenRow(f"The row is not CSV: {error}.") from error

    return read


def _fields(lines: Sequence[str], delimiter: str) -> Iterable[list[str]]:
    """As csv reads lines of which none is empty; where nothing is quoted it looks at each character for nothing."""
    whole = "".join(lines)
    if '"' in whole or "\n" in whole or "\r" in whole:
        return csv.reader(lines, delimiter=delimiter)
    return (line.split(delimiter) for line in lines)
