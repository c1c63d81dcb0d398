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

Offsets = npt.NDArray[np.int64]
Rows = npt.NDArray[np.bool_]

MAX_RECORD = 2 << 20  # bytes; a quote that nobody closed must not swallow the file
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
        the last must not end in a carriage return. Raises IrregularQuotes.
        """
        data = np.frombuffer(chunk, np.uint8)
        offsets = self._offsets(data) if chunk else np.zeros(0, np.int64)
        if last and (self.open or chunk) and not (len(offsets) and offsets[-1] == len(chunk)):
            offsets = np.append(offsets, len(chunk))
        lengths = np.diff(offsets, prepend=-self.open)
        self.open = len(chunk) - int(offsets[-1]) if len(offsets) else self.open + len(chunk)
        if self._csv and max(self.open, int(lengths.max(initial=0))) > MAX_RECORD:
            raise IrregularQuotes
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

    A record longer than ``MAX_RECORD`` was opened by a quote that nobody closed: its first line is a record of its own,
    and reading goes on with the second.
    """
    csv.field_size_limit(2 * MAX_RECORD)
    pending: deque[bytes] = deque()  # to be read again
    source = iter(lines)
    while True:
        taken: list[bytes] = []
        for _ in csv.reader(_feed(pending, source, taken), delimiter=delimiter):
            break
        if not taken:
            return
        if sum(map(len, taken)) > MAX_RECORD and len(taken) > 1:
            pending.extendleft(reversed(taken[1:]))
            del taken[1:]
        yield b"".join(taken)


def _feed(pending: deque[bytes], source: Iterator[bytes], taken: list[bytes]) -> Iterator[str]:
    """Lines for one record; what csv asked for is in ``taken``. Delimiters and quotes are ASCII: Latin-1 does."""
    size = 0
    while size <= MAX_RECORD:
        line = pending.popleft() if pending else next(source, None)
        if line is None:
            return
        taken.append(line)
        size += len(line)
        yield line.decode("latin-1").replace("\0", "\1")


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Lines with their ends, which may be ``\n``, ``\r\n`` or ``\r``.

    >>> list(split_lines([b"a\r", b"\nb\rc"]))
    [b'a\r\n', b'b\r', b'c']
    """
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).splitlines(keepends=True) or [b""]
        yield from lines
        if rest.endswith(b"\n"):
            yield rest
            rest = b""
    if rest:
        yield from rest.splitlines(keepends=True)
