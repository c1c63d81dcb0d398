"""Labelled and unlabelled text in, a row at a time, whatever is in the files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_build.data.directories import read_directory
from model_build.data.records import Record, ending, read_lines, read_records
from model_build.data.texts import mend, shown, strip_html
from model_build.locations import local_input
from model_build.sections import DataConfig
from slipway.errors import BuildError


@dataclass(frozen=True, slots=True)
class Row:
    """One row as found. ``text`` or ``label`` is None where missing; ``malformed`` where the row could not be read.

    In a multi-label task ``labels`` takes the place of ``label``: None where missing, empty where a text has none.
    ``slices`` are the values of the columns ``data.slices``, "" where missing.
    """

    text: str | None = None
    label: str | None = None
    malformed: bool = False
    labels: tuple[str, ...] | None = None
    slices: tuple[str, ...] = ()


def read_rows(config: DataConfig) -> Iterator[Row]:
    """Stream the rows of ``config.path`` that ``config.where`` keeps.

    Raises BuildError for a format nobody promised, a column that is not there, or a file that cannot be read at all.
    """
    with local_input(config.path) as path:
        for record in _records(path, config):
            if record is None or not _can_be_read(record, config):
                yield Row(malformed=True)
            elif _is_kept(record, config.where):
                yield _row(record, config)


def read_texts(config: DataConfig) -> Iterator[str]:
    """Stream the usable texts of ``config.unlabelled``, mended as labelled ones are; nothing if there is none.

    It is a file of any format that labelled text has, or ``.txt``, a text a line. What is malformed, empty or of broken
    encoding is passed over. Raises BuildError as ``read_rows`` does.
    """
    if not config.unlabelled:
        return
    with local_input(config.unlabelled, key="data.unlabelled") as path:
        for found in _unlabelled(path, config):
            text = mend(found)
            text = strip_html(text)[0] if config.strip_html else text
            if text and is_whole(text):
                yield text


def is_whole(text: str) -> bool:
    """Whether nothing of a text was lost to a wrong encoding: no U+FFFD and no half of a surrogate pair."""
    if text.isascii():
        return True
    return "\ufffd" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _records(path: Path, config: DataConfig) -> Iterator[Record | None]:
    if not path.is_dir():
        return read_records(path, {config.text, config.label, *config.where, *config.slices})
    if columns := [*config.where, *config.slices]:
        raise BuildError(
            f"{shown(path, 200)} is a directory and has no column {columns[0]!r}.",
            remedy="Leave out data.where and data.slices.",
        )
    return ({config.text: text, config.label: label} for text, label in read_directory(path))


def _unlabelled(path: Path, config: DataConfig) -> Iterator[str]:
    if path.is_dir():
        yield from (text for text, _ in read_directory(path))
    elif ending(path) == ".txt":
        yield from read_lines(path)
    else:
        for record in read_records(path, {config.unlabelled_text, *config.unlabelled_where}):
            text = record.get(config.unlabelled_text) if record else None
            if record and not isinstance(text, dict | list) and _is_kept(record, config.unlabelled_where):
                yield _as_text(text) or ""


def _can_be_read(record: Record, config: DataConfig) -> bool:
    """Cells that hold one value, or, the label's in a multi-label task, a list of such."""
    if any(isinstance(record.get(name), dict | list) for name in (config.text, *config.where)):
        return False
    label = record.get(config.label)
    if config.task == "multi-label" and isinstance(label, list):
        return not any(isinstance(item, dict | list) for item in label)
    return not isinstance(label, dict | list)


def _is_kept(record: Record, where: dict[str, str]) -> bool:
    return all(_as_text(record.get(key)) == value for key, value in where.items())


def _row(record: Record, config: DataConfig) -> Row:
    text, cell = _as_text(record.get(config.text)), record.get(config.label)
    slices = tuple(_slice(record.get(name)) for name in config.slices)
    if config.task == "multi-label":
        return Row(text, labels=_labels(cell, config.separator), slices=slices)
    label = _as_text(cell)
    return Row(text, None if label is None else label.strip() or None, slices=slices)


def _labels(cell: Any, separator: str) -> tuple[str, ...] | None:
    """Each label once, in the cell's order. An empty cell names no label, which is an answer; null is none.

    >>> _labels(" fast | cheap || fast", "|")
    ('fast', 'cheap')
    """
    whole = None if isinstance(cell, list) else _as_text(cell)
    if whole is None and not isinstance(cell, list):
        return None
    found: Sequence[str | None] = whole.split(separator) if whole is not None else [_as_text(item) for item in cell]
    return tuple(dict.fromkeys(label.strip() for label in found if label and label.strip()))


def _slice(cell: Any) -> str:
    """A lone surrogate is no text that can be stored, and a list is no value to group by."""
    text = "" if isinstance(cell, dict | list) else _as_text(cell) or ""
    return text.strip().encode("utf-8", "replace").decode("utf-8")


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
