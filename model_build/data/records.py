"""Files to records: CSV, TSV, JSON Lines and Parquet, and text formats gzip'd, a record at a time."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TextIO, TypeVar, cast

import pyarrow
import pyarrow.parquet

from model_build.data.texts import shown
from slipway.errors import BuildError

Record = Mapping[str, Any]
Item = TypeVar("Item")

_BATCH = 2_048  # rows of Parquet held at a time
_COLUMNS_SHOWN = 20
_CODECS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_OTHER_FORMATS = {b"PAR1": "Parquet", b"\x1f\x8b": "gzip'd", b"PK\x03\x04": "a ZIP archive or a spreadsheet"}


def read_records(path: Path, names: set[str]) -> Iterator[Record | None]:
    """Stream the records of a file; None stands for one that cannot be read.

    Raises BuildError for a format nobody promised, one of ``names`` that is no column, and a file that cannot be read.
    """
    reader = _READERS.get(ending(path))
    if reader is None:
        known = ", ".join(sorted(_READERS))
        raise BuildError(
            f"{shown(path, 200)} ends in {shown(path.suffix)!r}.",
            remedy=f"Known endings: {known}; text formats also with .gz.",
        )
    yield from _in_words(reader(path, names), path)


def read_lines(path: Path) -> Iterator[str]:
    """Stream the lines of a text file that hold anything. Raises BuildError if it cannot be read."""
    yield from _in_words(_lines(path), path)


def read_whole(path: Path) -> str:
    """A text file as one text. Raises BuildError if it cannot be read."""
    return "".join(_in_words(_whole(path), path, empty=True))


def ending(path: Path) -> str:
    """``.csv`` for ``rows.CSV`` and ``rows.csv.gz``; Parquet compresses inside, and is not looked for in a .gz."""
    name = path.name.lower()
    inner = Path(name.removesuffix(".gz")).suffix
    return Path(name).suffix if inner in ("", ".parquet") else inner


def _in_words(items: Iterable[Item], path: Path, *, empty: bool = False) -> Iterator[Item]:
    """The items; what the system or a decompressor says against the file is said as a BuildError."""
    try:
        if path.stat().st_size == 0 and not empty:
            raise BuildError(f"{shown(path, 200)} is empty.")
        yield from items
    except (EOFError, zlib.error, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise BuildError(f"{shown(path.name)} cannot be read: {why}.", remedy="Is the file whole?") from error


def _read_csv(path: Path, names: set[str], delimiter: str = ",") -> Iterator[Record | None]:
    csv.field_size_limit(2**31 - 1)
    with _open(path, newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter, restval=None, strict=True)
        try:
            _require(names, reader.fieldnames or [], path)
            for record in reader:
                yield None if None in record else record  # cells without a column: a comma that wanted quotes
        except csv.Error as error:
            raise BuildError(
                f"{shown(path.name)}, line {reader.reader.line_num}: {error}.", remedy="Quote as RFC 4180 says."
            ) from error


def _read_tsv(path: Path, names: set[str]) -> Iterator[Record | None]:
    return _read_csv(path, names, "\t")


def _read_json_lines(path: Path, names: set[str]) -> Iterator[Record | None]:
    missing = set(names)
    columns: dict[str, None] = {}
    for line in _lines(path):
        record = _parse_line(line)
        if record and missing:
            missing.difference_update(record)
            columns |= dict.fromkeys(list(record)[:_COLUMNS_SHOWN]) if len(columns) < _COLUMNS_SHOWN else {}
        yield record
    _require(missing, columns, path)


def _parse_line(line: str) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _read_parquet(path: Path, names: set[str]) -> Iterator[Record | None]:
    try:
        file = pyarrow.parquet.ParquetFile(path, pre_buffer=False)
        _require(names, file.schema_arrow.names, path)
        for batch in file.iter_batches(_BATCH, columns=sorted(names)):
            yield from batch.to_pylist()
    # ValueError: bytes that are no UTF-8, and times that Python has no word for
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise BuildError(f"{shown(path.name)} is not readable Parquet: {shown(why, 200)}") from error


_READERS: dict[str, Callable[[Path, set[str]], Iterator[Record | None]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}


def _require(names: set[str], found: Iterable[str], path: Path) -> None:
    columns = list(found)
    if missing := sorted(names.difference(columns)):
        known = ", ".join(shown(name) for name in sorted(map(str, columns))[:_COLUMNS_SHOWN]) or "none"
        raise BuildError(f"{shown(path.name)} has no column {missing[0]!r}.", remedy=f"Its columns: {known}.")
    if twice := sorted(name for name in names if columns.count(name) > 1):
        raise BuildError(f"{shown(path.name)} has two columns {twice[0]!r}.", remedy="Rename one of them.")


def _lines(path: Path) -> Iterator[str]:
    with _open(path) as file:
        yield from (line for line in file if line.strip())


def _whole(path: Path) -> Iterator[str]:
    with _open(path) as file:
        yield file.read()


@contextmanager
def _open(path: Path, newline: str | None = None) -> Iterator[TextIO]:
    """The file as text; bytes that are none are U+FFFD."""
    with _open_bytes(path) as file:
        codec = _codec(file.read(8), path)
    with _open_bytes(path) as file:
        yield io.TextIOWrapper(file, encoding=codec, errors="replace", newline=newline)


def _open_bytes(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _codec(head: bytes, path: Path) -> str:
    """From the mark, or, without one, from the NULs between the Latin letters that every format begins with."""
    for magic, name in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise BuildError(f"{shown(path.name)} is {name}, whatever its name says.", remedy="Name it by its format.")
    for mark, codec in _CODECS.items():
        if head.startswith(mark):
            return codec
    even, odd = head[::2], head[1::2]
    if len(head) == 8 and odd.count(0) == 4 and not even.count(0):
        return "utf-16-le"
    return "utf-16-be" if len(head) == 8 and even.count(0) == 4 and not odd.count(0) else "utf-8-sig"
