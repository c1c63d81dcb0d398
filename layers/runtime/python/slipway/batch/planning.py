"""One pass over the file: what it is, how many rows it has, and where it is cut into shards.

Memory does not grow with the file: of what is only looked at the offsets of one shard are kept, of what is cut anew one
shard's bytes.
"""

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

import numpy as np

from slipway.batch.boundaries import Boundaries, IrregularQuotes, Offsets, Rows, irregular_records, split_lines
from slipway.batch.formats import HEAD, Format, sniff, text_column
from slipway.batch.job import OURS, Job, Plan, Shard, added_columns
from slipway.batch.places import Place
from slipway.batch.sources import CHUNK, Source, as_file, chunks
from slipway.errors import BatchError

SHARD_BYTES = 4 << 20  # about a million tokens: one to four minutes of one vCPU
SHARD_ROWS = 20_000
JOINED_BYTES = 1 << 30  # of the input; results of more stay in parts
_LONGEST_LINE = 64 << 20
_IRREGULAR = 1_000  # records that are handed on together

Emit = Callable[[Shard], None]


def plan(job: Job, source: Source, place: Place) -> Plan:
    """Look through the file and write ``shards.jsonl`` and ``plan.json``. Done once: again it gives what it gave.

    Raises BatchError where the file as a whole cannot be scored, with a reason for its owner.
    """
    if kept := place.read(f"{job.folder}plan.json"):
        return Plan.from_json(kept[0])
    found = sniff(job.name, source.read(0, HEAD))
    if found.kind == "parquet":
        from slipway.batch import parquet

        found, shards, taken = parquet.plan(job, source)
    else:
        found, shards, taken = _plan(job, found, source, place)
    rows = sum(shard.rows for shard in shards)
    if not rows:
        raise BatchError(f"{job.name} has no rows.")
    made = Plan(
        job=job,
        format=found,
        rows=rows,
        shards=len(shards),
        joined=source.size <= JOINED_BYTES,
        added=added_columns(job.request, taken),
    )
    place.write(f"{job.folder}shards.jsonl", (json.dumps(asdict(shard)).encode() + b"\n" for shard in shards))
    place.create(f"{job.folder}plan.json", made.to_json())
    return made


def _plan(job: Job, found: Format, source: Source, place: Place) -> tuple[Format, list[Shard], frozenset[str]]:
    if found.kind == "csv":
        text_column(found.columns, job.request.text_column, job.name)
    try:
        return _scan(job, found, source, place)
    except IrregularQuotes:
        return _scan(job, replace(found, quotes=False), source, place)


def _scan(job: Job, found: Format, source: Source, place: Place) -> tuple[Format, list[Shard], frozenset[str]]:
    shards: list[Shard] = []
    names = _Names(found)
    cutter = _Cutter(job, found, place, shards.append)
    for chunk, offsets, rows in _ended(names.watch(utf8_chunks(job.name, found, source)), found):
        cutter.add(chunk, offsets, rows)
    cutter.close()
    return found, shards, names.taken


def utf8_chunks(name: str, found: Format, source: Source) -> Iterator[bytes]:
    """The file's text in chunks of UTF-8, without compression and byte order mark. Raises BatchError if damaged."""
    if not found.is_cut_anew:
        yield from chunks(source, found.bom)
        return
    decoder = codecs.getincrementaldecoder(found.encoding)("surrogatepass")
    skip = found.bom
    for chunk in _plain(name, found, source) if found.compression else chunks(source):
        content, skip = chunk[skip:], max(0, skip - len(chunk))
        try:
            yield content if found.encoding == "utf-8" else decoder.decode(content).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise BatchError(f"{name} is not {found.encoding} throughout: {error.reason}.") from error


def _plain(name: str, found: Format, source: Source) -> Iterator[bytes]:
    try:
        with _decompressed(found, as_file(source)) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except (EOFError, OSError, zlib.error) as error:
        raise _damaged(name, found, error) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "zstandard":
            raise
        raise _damaged(name, found, error) from error


def _decompressed(found: Format, file: io.BufferedReader) -> Any:
    if found.compression == "gzip":
        return gzip.GzipFile(fileobj=file)
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


def _damaged(name: str, found: Format, error: Exception) -> BatchError:
    return BatchError(
        f"{name} is damaged {found.compression}: {error or type(error).__name__}.",
        remedy="The upload may have been cut short: compress and upload it again.",
    )


def _ended(stream: Iterable[bytes], found: Format) -> Iterator[tuple[bytes, Offsets, Rows]]:
    """Each chunk with the offsets of the ends in it, and which of the ended records are rows."""
    if not found.quotes:
        records = irregular_records(split_lines(stream), found.delimiter)
        while some := list(islice(records, _IRREGULAR)):
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
        if boundaries.open > _LONGEST_LINE:
            raise BatchError(f"A line is longer than {_LONGEST_LINE >> 20} MB.", remedy="Is every row on its own line?")
        yield whole[:kept], ends.offsets, ends.rows
    ends = boundaries.ends(rest, last=True)
    yield rest, ends.offsets, ends.rows


class _Cutter:
    """Ends of records to shards. A shard ends before it would pass its bytes or rows, and has at least one record."""

    def __init__(self, job: Job, found: Format, place: Place, emit: Emit) -> None:
        self._folder = f"{job.folder}cut/"
        self._place = place
        self._emit = emit
        self._header = found.kind == "csv"
        self._buffer = bytearray() if found.is_cut_anew else None
        self._at = found.bom if not found.is_cut_anew else 0
        self._start = self._at  # of the shard
        self._ends = np.zeros(0, np.int64)
        self._rows = np.zeros(0, bool)
        self._index = 0
        self._first_row = 1

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
        while len(self._ends) and (self._ends[-1] - self._start > SHARD_BYTES or self._rows.sum() > SHARD_ROWS):
            self._cut()

    def close(self) -> None:
        """The file has ended."""
        while len(self._ends):
            self._cut()

    def _cut(self) -> None:
        fits = (self._ends - self._start <= SHARD_BYTES) & (np.cumsum(self._rows) <= SHARD_ROWS)
        count = max(1, int(fits.sum()))
        rows, end = int(self._rows[:count].sum()), int(self._ends[count - 1])
        if rows:
            self._emit(self._shard(end, rows))
            self._index += 1
            self._first_row += rows
        self._drop(count)

    def _shard(self, end: int, rows: int) -> Shard:
        if self._buffer is None:
            return Shard(index=self._index, start=self._start, end=end, first_row=self._first_row, rows=rows)
        size, cut = end - self._start, f"{self._folder}{self._index:06d}"
        self._place.write(cut, [bytes(self._buffer[:size])])
        return Shard(index=self._index, start=0, end=size, first_row=self._first_row, rows=rows, cut=cut)

    def _drop(self, count: int) -> None:
        end = int(self._ends[count - 1])
        if self._buffer is not None:
            del self._buffer[: end - self._start]
        self._start, self._ends, self._rows = end, self._ends[count:], self._rows[count:]


class _Names:
    """Which names of our columns the file may have itself: ``taken``, complete once the file was watched whole."""

    def __init__(self, found: Format) -> None:
        self.taken = frozenset(found.columns)
        self._sought = {name: f'"{name}"'.encode() for name in OURS} if found.kind == "jsonl" else {}

    def watch(self, stream: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks. A name that is only a value counts as well: a prefix too many does no harm."""
        last = b""
        for chunk in stream:
            for name, sought in self._sought.items():
                if name not in self.taken and (sought in chunk or sought in last + chunk[:20]):
                    self.taken |= {name}
            last = chunk[-20:]
            yield chunk
