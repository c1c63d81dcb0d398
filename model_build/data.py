"""Labelled text in: CSV, TSV, JSON Lines and Parquet, a row at a time, whatever is in them."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from model_build.config import DataConfig
from model_build.locations import local_file
from slipway.errors import BuildError

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One row as found. ``text`` or ``label`` is None where missing; ``malformed`` where the row could not be read."""

    text: str | None = None
    label: str | None = None
    malformed: bool = False


def read_rows(config: DataConfig) -> Iterator[Row]:
    """Stream the rows of ``config.path`` that ``config.where`` keeps.

    Raises BuildError for a format nobody promised, a column that is not there, or a file that cannot be read at all.
    """
    with local_file(config.path) as path:
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise BuildError(
                f"{config.path} ends in {path.suffix!r}.", remedy=f"Known endings: {', '.join(sorted(_READERS))}."
            )
        if path.stat().st_size == 0:
            raise BuildError(f"{config.path} is empty.")
        names = {config.text, config.label, *config.where}
        for record in reader(path, names):
            if record is None or any(isinstance(record.get(name), dict | list) for name in names):
                yield Row(malformed=True)
            elif all(_as_text(record.get(key)) == value for key, value in config.where.items()):
                label = _as_text(record.get(config.label))
                yield Row(_as_text(record.get(config.text)), None if label is None else label.strip() or None)


def _read_csv(path: Path, names: set[str], delimiter: str = ",") -> Iterator[Record | None]:
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding=_encoding(path), errors="replace", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter, restval=None, strict=True)
        try:
            _require(names, reader.fieldnames or [], path)
            for record in reader:
                yield None if None in record else record  # cells without a column: a comma that wanted quotes
        except csv.Error as error:
            raise BuildError(
                f"{path.name}, line {reader.line_num}: {error}.", remedy="Quote as RFC 4180 says."
            ) from error


def _read_tsv(path: Path, names: set[str]) -> Iterator[Record | None]:
    return _read_csv(path, names, "\t")


def _read_json_lines(path: Path, names: set[str]) -> Iterator[Record | None]:
    found: set[str] = set()
    with path.open(encoding=_encoding(path), errors="replace") as file:
        for line in file:
            if not line.strip():
                continue
            record = _parse_line(line)
            found |= record.keys() if record else set()
            yield record
    _require(names, found, path)


def _parse_line(line: str) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _read_parquet(path: Path, names: set[str]) -> Iterator[Record | None]:
    try:
        file = pyarrow.parquet.ParquetFile(path)
        _require(names, file.schema_arrow.names, path)
        for batch in file.iter_batches(columns=sorted(names)):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BuildError(f"{path.name} is not readable Parquet: {str(error).splitlines()[0]}") from error


_READERS: dict[str, Callable[[Path, set[str]], Iterator[Record | None]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}


def _require(names: set[str], found: Any, path: Path) -> None:
    if missing := sorted(names.difference(found)):
        columns = ", ".join(sorted(map(str, found))) or "none"
        raise BuildError(f"{path.name} has no column {missing[0]!r}.", remedy=f"Its columns: {columns}.")


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        mark = file.read(2)
    return "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _as_text(value: Any) -> str | None:
    """Numbers and booleans as their file would spell them; 1.0 is 1, because a column with gaps is read as float."""
    if value is None or value != value:  # NaN
        return None
    if isinstance(value, bytes):  # older Parquet writers mark no column as text
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else str(value)
