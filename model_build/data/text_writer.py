"""Texts to an Arrow file, whole or not at all."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow

from model_build.data.texts import shown
from slipway.errors import BuildError

_ROWS, _CHARACTERS = 4_096, 4_000_000  # held before they are written, whichever is reached first


class TextWriter:
    """Columns: the text, the row of the input it came from, one for each slice.

    The file has its name once it is complete: a build that is killed leaves none that looks whole.
    Raises BuildError if it cannot be written.
    """

    def __init__(self, path: Path, *, slices: int) -> None:
        self._path, self._draft = path, path.with_suffix(".part")
        fields = [("text", pyarrow.large_string()), ("row", pyarrow.int64())]
        fields += [(f"slice {place}", pyarrow.large_string()) for place in range(slices)]
        self._schema = pyarrow.schema(fields)
        self._pending: list[tuple[Any, ...]] = []
        self._characters = 0

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = pyarrow.OSFile(str(self._draft), "wb")
        except OSError as error:
            raise self._refusal(error) from error
        self._writer = pyarrow.ipc.new_file(self._file, self._schema)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
                self._writer.close()
            self._file.close()
            if kind is None:
                self._draft.replace(self._path)
        except OSError as problem:
            raise self._refusal(problem) from problem
        finally:
            self._draft.unlink(missing_ok=True)

    def add(self, text: str, row: int, slices: tuple[str, ...]) -> None:
        """Append one row."""
        self._pending.append((text, row, *slices))
        self._characters += len(text)
        if len(self._pending) >= _ROWS or self._characters >= _CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            columns = [
                pyarrow.array(c, f.type) for c, f in zip(zip(*self._pending, strict=True), self._schema, strict=True)
            ]
            try:
                self._writer.write_batch(pyarrow.record_batch(columns, schema=self._schema))
            except OSError as error:
                raise self._refusal(error) from error
        self._pending, self._characters = [], 0

    def _refusal(self, error: OSError) -> BuildError:
        why = error.strerror or error
        return BuildError(f"{shown(self._path, 200)} cannot be written: {why}.", remedy="Is there room for the texts?")
