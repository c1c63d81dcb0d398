"""A shard's bytes to rows: each has its text, or the reason why it has none. No row takes another one with it."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from slipway.batch.boundaries import MAX_RECORD, Boundaries, irregular_records, split_lines
from slipway.batch.formats import Format, text_column
from slipway.errors import RequestError
from slipway.requests import named, read_text

MAX_TEXT = 400_000  # bytes; about the 100,000 tokens that one request over HTTP may have


class BrokenRow(Exception):
    """Why a row cannot be scored: a sentence for the file's owner, without the text."""


@dataclass(frozen=True, slots=True)
class Row:
    """``raw`` is the record as it was, without its end, ``end`` that end. ``text`` is None if there is a ``reason``.

    ``content`` is what the record parsed to, for whoever writes it again.
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
    read = {"jsonl": _read_json, "text": _read_line}.get(found.kind) or _csv_reader(found, column)
    number = first_row
    for record in records(data, found):
        raw, end = split_end(record)
        if not raw and found.kind != "text":
            continue
        yield _row(number, raw, end, read, column)
        number += 1


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


def _row(number: int, raw: bytes, end: bytes, read: Any, column: str) -> Row:
    try:
        if len(raw) > MAX_RECORD:
            raise BrokenRow(f"The row has {len(raw):,} bytes; {MAX_RECORD:,} fit.")
        content, text = read(_decoded(raw), column)
        return Row(number, raw, end, checked_text(text, column), content=content)
    except BrokenRow as error:
        return Row(number, raw, end, None, str(error))


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BrokenRow(f"Byte {error.start + 1} of the row is not UTF-8.") from error


def _read_line(line: str, _: str) -> tuple[Any, Any]:
    return line, line


def _read_json(line: str, column: str) -> tuple[Any, Any]:
    try:
        document = json.loads(line)
    except json.JSONDecodeError as error:
        raise BrokenRow(f"The row is not JSON: {error.msg} at column {error.colno}.") from error
    except (ValueError, RecursionError) as error:
        raise BrokenRow("The row is JSON that nobody writes: its numbers or its nesting have no end.") from error
    if isinstance(document, str):
        return document, document
    if not isinstance(document, dict):
        raise BrokenRow(f"The row must be a JSON object or a text, not {named(document)}.")
    if column not in document:
        raise BrokenRow(f"The row has no {column!r}.")
    return document, document[column]


def _csv_reader(found: Format, column: str) -> Any:
    index, width = text_column(found.columns, column, "The file"), len(found.columns)
    csv.field_size_limit(2 * MAX_RECORD)

    def read(record: str, _: str) -> tuple[Any, Any]:
        try:
            fields = next(csv.reader([record], delimiter=found.delimiter), [])
        except csv.Error as error:
            raise BrokenRow(f"The row is not CSV: {error}.") from error
        if len(fields) != width:
            raise BrokenRow(f"The row has {len(fields)} columns, the header has {width}.")
        return fields, fields[index]

    return read
