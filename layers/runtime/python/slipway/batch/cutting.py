"""A stream of chunks to shards: where its records end, and which of the ends a shard ends with.

Memory does not grow with the file: of what is only looked at the offsets of one shard are kept, of what is cut anew one
shard's bytes.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from slipway.batch.boundaries import Boundaries, Offsets, Rows, irregular_records, split_lines
from slipway.batch.formats import Format
from slipway.batch.job import OURS, Job, Shard
from slipway.batch.places import Place

SHARD_BYTES = 4 << 20  # about a million tokens: one to four minutes of one vCPU
SHARD_ROWS = 20_000
_TOGETHER, _TOGETHER_BYTES = 1_000, 1 << 20  # irregular records that are handed on at once: what comes first


def ended(stream: Iterable[bytes], found: Format) -> Iterator[tuple[bytes, Offsets, Rows]]:
    """Each chunk with the offsets of the ends in it, and which of the ended records are rows."""
    if not found.quotes:
        records = irregular_records(split_lines(stream), found.delimiter)
        for some in _together(records):
            rows = np.array([bool(record.strip(b"\r\n")) for record in some])
            yield b"".join(some), np.cumsum([len(record) for record in some]), rows
        return
    boundaries = Boundaries(found.delimiter, blanks=found.kind == "text")
    rest = b""
    for chunk in stream:
        whole = rest + chunk if rest else chunk
        kept = len(whole) - 1 if whole.endswith(b"\r") else len(whole)
        rest = whole[kept:]
        ends = boundaries.ends(whole[:kept])
        yield whole[:kept], ends.offsets, ends.rows
    ends = boundaries.ends(rest, last=True)
    yield rest, ends.offsets, ends.rows


def _together(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    some: list[bytes] = []
    size = 0
    for record in records:
        some.append(record)
        size += len(record)
        if len(some) == _TOGETHER or size > _TOGETHER_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


class Cutter:
    """Ends of records to ``shards``. A shard ends before it would pass its bytes or rows, and has at least one record.

    ``start`` is where the next shard begins in the stream: outside of quotes, so that reading can begin there anew.
    """

    def __init__(self, job: Job, found: Format, place: Place, shards: list[Shard], *, start: int) -> None:
        self.shards = shards
        self.start = self._at = start  # of the shard that is next
        self._folder = f"{job.folder}cut/"
        self._place = place
        self._header = found.kind == "csv" and start == found.beginning
        self._buffer = bytearray() if found.is_cut_anew else None
        self._ends = np.zeros(0, np.int64)
        self._rows = np.zeros(0, bool)

    def add(self, chunk: bytes, offsets: Offsets, rows: Rows) -> None:
        """The next chunk."""
        if self._buffer is not None:
            self._buffer += chunk
        self._ends = np.concatenate([self._ends, offsets + self._at])
        self._rows = np.concatenate([self._rows, rows])
        self._at += len(chunk)
        if self._header and len(self._ends):
            self._header = False
            self._drop(1)
        while len(self._ends) and (self._ends[-1] - self.start > SHARD_BYTES or self._rows.sum() > SHARD_ROWS):
            self._cut()

    def close(self) -> None:
        """The file has ended."""
        while len(self._ends):
            self._cut()

    def _cut(self) -> None:
        fits = (self._ends - self.start <= SHARD_BYTES) & (np.cumsum(self._rows) <= SHARD_ROWS)
        count = max(1, int(fits.sum()))
        rows, end = int(self._rows[:count].sum()), int(self._ends[count - 1])
        if rows:
            self.shards.append(self._shard(end, rows))
        self._drop(count)

    def _shard(self, end: int, rows: int) -> Shard:
        index = len(self.shards)
        first_row = self.shards[-1].first_row + self.shards[-1].rows if self.shards else 1
        if self._buffer is None:
            return Shard(index=index, start=self.start, end=end, first_row=first_row, rows=rows)
        size, cut = end - self.start, f"{self._folder}{index:06d}"
        self._place.write(cut, [bytes(self._buffer[:size])])
        return Shard(index=index, start=0, end=size, first_row=first_row, rows=rows, cut=cut)

    def _drop(self, count: int) -> None:
        end = int(self._ends[count - 1])
        if self._buffer is not None:
            del self._buffer[: end - self.start]
        self.start, self._ends, self._rows = end, self._ends[count:], self._rows[count:]


class Names:
    """Which names of our columns the file may have itself: ``taken``, complete once the file was watched whole."""

    def __init__(self, found: Format, taken: frozenset[str]) -> None:
        self.taken = taken | frozenset(found.columns)
        self._sought = {name: f'"{name}"'.encode() for name in OURS} if found.kind == "jsonl" else {}

    def watch(self, stream: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks. A name that is only a value counts as well: a prefix too many does no harm."""
        last, overlap = b"", max(map(len, self._sought.values()), default=0)
        for chunk in stream:
            for name, sought in self._sought.items():
                if name not in self.taken and (sought in chunk or sought in last + chunk[:overlap]):
                    self.taken |= {name}
            last = (last + chunk)[-overlap:] if overlap else b""
            yield chunk
