"""Parquet: shards are rows of a row group, results are row groups with our columns behind the file's own."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from slipway.batch import rendering
from slipway.batch.formats import Format, text_column
from slipway.batch.job import Job, Shard, plain_name
from slipway.batch.rows import BrokenRow, Row, checked_text
from slipway.batch.sources import Source, as_file
from slipway.errors import BatchError

_SHARD_BYTES = 16 << 20
_SHARD_ROWS = 20_000
_OURS = {"label": pa.string(), "score": pa.float64(), "scores": pa.string(), "model_version": pa.string()}


def plan(job: Job, source: Source) -> tuple[Format, list[Shard], frozenset[str]]:
    """Format, shards, and the names of the file's columns. Raises BatchError."""
    file = _open(job.name, source)
    columns = tuple(file.schema_arrow.names)
    column = columns[text_column(columns, job.request.text_column, job.name)]
    kind = file.schema_arrow.field(column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)):
        raise BatchError(f"The column {column!r} of {job.name} holds {kind}, not texts.")
    shards: list[Shard] = []
    first_row = 1
    for group in range(file.metadata.num_row_groups):
        for start, end in _slices(file.metadata.row_group(group)):
            rows = end - start
            shards.append(Shard(index=len(shards), start=start, end=end, first_row=first_row, rows=rows, group=group))
            first_row += rows
    return Format(kind="parquet", columns=columns), shards, frozenset(columns)


def batches(name: str, source: Source, shard: Shard, size: int, skip: int) -> Iterator[pa.RecordBatch]:
    """The shard's rows from the ``skip``-th, ``size`` at a time counted from the shard's first, the last ones fewer."""
    wanted = range(shard.start + skip, shard.end)
    at, held = 0, None
    for batch in _read(name, source, shard.group, size):
        begin, end = max(wanted.start, at) - at, min(wanted.stop, at + len(batch)) - at
        at += len(batch)
        if end > begin:
            held = pa.concat_batches([held, batch[begin:end]]) if held else batch[begin:end]
        while held and len(held) >= size:
            yield held[:size]
            held = held[size:]
        if at >= wanted.stop:
            break
    if held and len(held):
        yield held


def rows_of(batch: pa.RecordBatch, column: str, *, first_row: int) -> Iterator[Row]:
    """Rows whose ``content`` is their place in the batch."""
    name = column if column in batch.schema.names else batch.schema.names[0]
    for index, value in enumerate(_texts(batch.column(name))):
        try:
            if isinstance(value, bytes):
                raise BrokenRow(f"{name} is not UTF-8.")
            yield Row(first_row + index, b"", b"", checked_text(value, name), content=index)
        except BrokenRow as error:
            raw = {each: _value(batch.column(each)[index]) for each in batch.schema.names}
            told = json.dumps(raw, default=str, ensure_ascii=False).encode("utf-8", "replace")
            yield Row(first_row + index, told, b"", None, str(error), index)


def scored(batch: pa.RecordBatch, indices: Sequence[int], added: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """The rows at ``indices``, and what each adds."""
    ours = {name: [rendering.flat(each[name]) for each in added] for name in added[0]}
    return _beside(batch.take(pa.array(indices, pa.int64())), ours)


def none_scored(batch: pa.RecordBatch, names: Iterable[str]) -> pa.RecordBatch:
    """No rows, with the columns that scored ones have."""
    return _beside(batch[:0], {name: [] for name in names})


def _beside(kept: pa.RecordBatch, ours: Mapping[str, list[Any]]) -> pa.RecordBatch:
    columns = [pa.array(values, _OURS[plain_name(name)]) for name, values in ours.items()]
    fields = [*kept.schema, *(pa.field(name, column.type) for name, column in zip(ours, columns, strict=True))]
    return pa.RecordBatch.from_arrays([*kept.columns, *columns], schema=pa.schema(fields, kept.schema.metadata))


def written(made: Sequence[pa.RecordBatch]) -> bytes:
    """A Parquet file of these batches, with one row group; the same bytes for the same batches."""
    if not made:
        return b""
    file = io.BytesIO()
    pq.write_table(pa.Table.from_batches(made), file, compression="zstd")
    return file.getvalue()


def joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """One Parquet file of many, a row group for each that has rows, as its bytes come to be."""
    sink = _Sink()
    writer = None
    for piece in filter(None, pieces):
        table = pq.read_table(io.BytesIO(piece))
        writer = writer or pq.ParquetWriter(pa.PythonFile(sink, "w"), table.schema, compression="zstd")
        if len(table):
            writer.write_table(table)
        yield sink.taken()
    if writer:
        writer.close()
        yield sink.taken()


class _Sink(io.RawIOBase):
    """A file that is only written at its end, and emptied now and then."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        self._size += len(self._written[-1])
        return len(self._written[-1])

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        """What was written since it was last asked."""
        written, self._written = b"".join(self._written), []
        return written


def _slices(group: pq.RowGroupMetaData) -> Iterator[tuple[int, int]]:
    fits = max(1, _SHARD_BYTES * group.num_rows // max(1, group.total_byte_size))
    size = min(_SHARD_ROWS, fits)
    return ((start, min(start + size, group.num_rows)) for start in range(0, group.num_rows, size))


def _texts(column: pa.Array) -> list[Any]:
    """The column's values. Parquet does not check that its strings are UTF-8: those that are not are given as bytes."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [_value_or_bytes(each) for each in column]


def _value(scalar: pa.Scalar) -> Any:
    """For people: what is not UTF-8 is marked, and None where it is inside a list."""
    found = _value_or_bytes(scalar)
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else found


def _value_or_bytes(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        text = scalar.value if isinstance(scalar, pa.DictionaryScalar) else scalar
        return text.as_buffer().to_pybytes() if hasattr(text, "as_buffer") else None


def _read(name: str, source: Source, group: int, size: int) -> Iterator[pa.RecordBatch]:
    """Raises BatchError where a page is not what the file's footer says."""
    try:
        yield from _open(name, source).iter_batches(batch_size=size, row_groups=[group])
    except (pa.ArrowException, OSError) as error:
        raise BatchError(f"{name} is a damaged Parquet file: {error}.", remedy="Upload it again.") from error


def _open(name: str, source: Source) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(as_file(source))
    except (pa.ArrowException, OSError) as error:
        raise BatchError(
            f"{name} is no whole Parquet file: {error}.", remedy="The upload may have been cut short: upload it again."
        ) from error
