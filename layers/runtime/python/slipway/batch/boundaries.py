"""Where records end, in a stream of bytes: by numpy over each chunk, whatever the chunks are.

A newline in quotes ends no record. Quotes toggle: a newline is outside of them where an even number came before. That
is exact for RFC 4180; where a quote opens in the middle of a field the file is read record by record instead, by
Python's own csv, whose view of such files is the one that counts.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from slipway.errors import BatchError

Offsets = npt.NDArray[np.int64]
Rows = npt.NDArray[np.bool_]

MAX_RECORD = 2 << 20  # bytes; a quote that nobody closed must not swallow the file
LONGEST_LINE = 64 << 20  # bytes; of any file, since a line is held whole
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34


class IrregularQuotes(Exception):
    """The quotes of this CSV do not toggle, or one is never closed: read it record by record."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Offsets just behind the records that end in a chunk, ascending; and which of the records are rows: not blank."""

    offsets: Offsets
    rows: Rows


class Boundaries:
    """Finds the ends of records in consecutive chunks of one stream.

    ``delimiter`` is empty if it is no CSV; ``blanks`` says whether a blank line is a row. ``open`` counts the bytes
    since the last end.
    """

    def __init__(self, delimiter: str = "", *, blanks: bool = False) -> None:
        self.open = 0
        self._allowed = np.zeros(256, bool)
        self._csv = bool(delimiter)
        self._blanks = blanks
        if delimiter:
            self._allowed[[ord(delimiter), _NEWLINE, _RETURN, _QUOTE]] = True
        self._quoted = False
        self._last = _NEWLINE

    def ends(self, chunk: bytes, *, last: bool = False) -> Ends:
        """The records that end in ``chunk``; ``last`` ends the stream, and so the record.

        A record ends behind its newline; in a CSV also behind a carriage return that no newline follows. Chunks but
        the last must not end in a carriage return. Raises IrregularQuotes; BatchError as ``require_end`` does.
        """
        data = np.frombuffer(chunk, np.uint8)
        offsets = self._offsets(data) if chunk else np.zeros(0, np.int64)
        if last and (self.open or chunk) and not (len(offsets) and offsets[-1] == len(chunk)):
            offsets = np.append(offsets, len(chunk))
        lengths = np.diff(offsets, prepend=-self.open)
        self.open = len(chunk) - int(offsets[-1]) if len(offsets) else self.open + len(chunk)
        if self._csv and (max(self.open, int(lengths.max(initial=0))) > MAX_RECORD or (last and self._quoted)):
            raise IrregularQuotes
        require_end(self.open)
        return Ends(offsets, np.ones(len(offsets), bool) if self._blanks else ~_blank(data, offsets, lengths))

    def _offsets(self, data: npt.NDArray[np.uint8]) -> Offsets:
        newlines = np.flatnonzero(data == _NEWLINE)
        if self._csv:
            returns = np.flatnonzero(data == _RETURN)
            alone = returns[data[np.minimum(returns + 1, len(data) - 1)] != _NEWLINE]
            if len(alone):
                newlines = np.union1d(newlines, alone)
            newlines = newlines[~self._in_quotes(data, newlines)]
        self._last = int(data[-1])
        return newlines + 1

    def _in_quotes(self, data: npt.NDArray[np.uint8], positions: Offsets) -> Rows:
        """Whether an odd number of quotes comes before each position."""
        quotes = np.flatnonzero(data == _QUOTE)
        opens = quotes[int(self._quoted) :: 2]
        before = np.where(opens > 0, data[opens - 1], self._last)
        if not self._allowed[before].all():
            raise IrregularQuotes
        odd: Rows = (np.searchsorted(quotes, positions) % 2).astype(bool) ^ self._quoted
        self._quoted ^= bool(len(quotes) % 2)
        return odd


def _blank(data: npt.NDArray[np.uint8], offsets: Offsets, lengths: Offsets) -> Rows:
    """Which records are nothing but their end."""
    if not len(data):
        return np.zeros(len(offsets), bool)
    final = data[offsets - 1]
    before = data[np.maximum(offsets - 2, 0)]
    blank: Rows = (lengths == 1) & ((final == _NEWLINE) | (final == _RETURN))
    blank |= (lengths == 2) & (final == _NEWLINE) & (before == _RETURN)
    return blank


def irregular_records(lines: Iterable[bytes], delimiter: str) -> Iterator[bytes]:
    """The records of a CSV as Python's csv reads it, from its lines with their ends.

    A quote that is not closed within ``MAX_RECORD``, or before the lines end, was never closed: its line is a record of
    its own, and reading goes on with the next. So the records are the same however a file is cut between them.
    """
    ahead = _Ahead(lines, delimiter)
    while first := ahead.next():
        rest = ahead.closing(MAX_RECORD - len(first)) if ends_in_quotes(first, delimiter) else b""
        yield first + rest


def ends_in_quotes(record: bytes, delimiter: str) -> bool:
    """Whether a quote is open at the end, so that csv asks for one more line.

    False of what is longer than ``MAX_RECORD``, which nothing is added to. Delimiters and quotes are ASCII: Latin-1
    does.

    >>> ends_in_quotes(b'5" pipe,"a', ","), ends_in_quotes(b'5" pipe,"a"', ",")
    (True, False)
    """
    if b'"' not in record or len(record) > MAX_RECORD:
        return False
    csv.field_size_limit(2 * MAX_RECORD)
    reader = csv.reader([record.decode("latin-1").replace("\0", "\1"), '"'], delimiter=delimiter)
    next(reader)
    return reader.line_num > 1


class _Ahead:
    """Lines, of which some were read ahead in search of one that closes a quote: each is looked at once for that."""

    def __init__(self, lines: Iterable[bytes], delimiter: str) -> None:
        self._source = iter(lines)
        self._delimiter = delimiter
        self._lines: deque[bytes] = deque()  # none but the last closes a quote
        self._size = 0  # of these lines, in bytes
        self._closes = False  # the last one does

    def next(self) -> bytes:
        """The next line, empty if there is none."""
        if not self._lines:
            return next(self._source, b"")
        line = self._lines.popleft()
        self._size -= len(line)
        self._closes = self._closes and bool(self._lines)
        return line

    def closing(self, room: int) -> bytes:
        """The next lines up to the first that closes a quote; nothing if none does within ``room`` bytes."""
        while not self._closes and self._size <= room and (line := next(self._source, b"")):
            self._lines.append(line)
            self._size += len(line)
            self._closes = b'"' in line and not ends_in_quotes(b'"' + line, self._delimiter)
        if not self._closes or self._size > room:
            return b""
        found = b"".join(self._lines)
        self._lines.clear()
        self._size, self._closes = 0, False
        return found


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Lines with their ends, which may be ``\n``, ``\r\n`` or ``\r``. Raises BatchError as ``require_end`` does.

    >>> list(split_lines([b"a\r", b"\nb\rc"]))
    [b'a\r\n', b'b\r', b'c']
    """
    held: list[bytes] = []  # of a line without an end so far: joined once, not with each chunk
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if b"\n" in chunk or b"\r" in chunk:
            *lines, rest = b"".join(held).splitlines(keepends=True)
            yield from lines
            if rest.endswith(b"\n"):
                yield rest
                rest = b""
            held, size = [rest], len(rest)
        require_end(size)
    yield from b"".join(held).splitlines(keepends=True)


def require_end(size: int) -> None:
    """Raises BatchError where a line has had ``size`` bytes and no end: it must be held until there is one."""
    if size > LONGEST_LINE:
        raise BatchError(f"A line is longer than {LONGEST_LINE >> 20} MB.", remedy="Is every row on its own line?")
