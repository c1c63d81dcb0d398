"""Clean texts on disk, and the three splits that look at them."""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow

from slipway.artifact import Task

SPLITS = ("train", "dev", "test")
Indices = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Example:
    """A clean text, the indices of its labels, and the values of the columns ``data.slices``.

    ``labels`` are ascending: exactly one in a single-label task, possibly none in a multi-label one.
    """

    text: str
    labels: tuple[int, ...]
    slices: tuple[str, ...] = ()

    @property
    def label(self) -> int:
        """The one label of a single-label example."""
        return self.labels[0]


class TextTable:
    """Texts and their slices in a memory-mapped Arrow file, or in memory; a row is read when it is asked for.

    The system holds of the file what is used and gives it up when it needs the room. A copy in another process opens
    the file anew; a table that is open stays what it was if the file is replaced.
    """

    def __init__(self, source: Path | pyarrow.Table) -> None:
        self._source = source
        self._table: Any = source
        if isinstance(source, Path):
            self._table = pyarrow.ipc.open_file(pyarrow.memory_map(str(source))).read_all()

    def __reduce__(self) -> tuple[Any, ...]:
        return TextTable, (self._source,)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def text(self, row: int) -> str:
        """The text of a row."""
        return str(self._cell(0, row))

    def slices(self, row: int) -> tuple[str, ...]:
        """The values of the slice columns of a row."""
        return tuple(str(self._cell(column, row)) for column in range(2, self._table.num_columns))

    def number(self, row: int) -> int:
        """Which row of the input this was, counted from 1."""
        return int(self._cell(1, row))

    @cached_property
    def _chunks(self) -> list[list[Any]]:
        return [column.chunks for column in self._table.columns]

    @cached_property
    def _starts(self) -> list[int]:
        """The first row of each chunk; all columns are cut at the same rows."""
        return np.cumsum([0, *(len(chunk) for chunk in self._chunks[0])])[:-1].tolist()  # type: ignore[no-any-return]

    def _cell(self, column: int, row: int) -> Any:
        chunk = bisect.bisect_right(self._starts, row) - 1
        return self._chunks[column][chunk][row - self._starts[chunk]].as_py()


@dataclass(frozen=True)
class LabelSets:
    """The labels of every row, two bytes each: those of row r are ``codes[starts[r]:starts[r + 1]]``.

    ``starts`` is None where each row has exactly one.
    """

    codes: Codes
    starts: Indices | None = None

    def of(self, row: int) -> tuple[int, ...]:
        """The labels of one row."""
        if self.starts is None:
            return (int(self.codes[row]),)
        return tuple(sorted(self.codes[self.starts[row] : self.starts[row + 1]].tolist()))

    def flat(self, rows: Indices) -> tuple[Indices, Codes]:
        """All (position in ``rows``, label) pairs, as two arrays."""
        if self.starts is None:
            return np.arange(len(rows)), self.codes[rows]
        counts = self.starts[rows + 1] - self.starts[rows]
        positions = np.repeat(np.arange(len(rows)), counts)
        within = np.arange(len(positions)) - np.repeat(np.cumsum(counts) - counts, counts)
        return positions, self.codes[self.starts[rows][positions] + within]


class Split(Sequence[Example]):
    """Examples in their order, as a view: of its own it holds eight bytes an example."""

    def __init__(self, table: TextTable, sets: LabelSets, rows: Indices, *, labels: int, task: Task) -> None:
        self.table = table
        self.sets = sets
        self.rows = rows
        self.labels = labels
        self.task = task

    @classmethod
    def of(cls, examples: Sequence[Example], *, labels: int, task: Task = "single-label") -> "Split":
        """A split of examples that are in memory."""
        columns = {"text": [e.text for e in examples], "row": np.arange(1, len(examples) + 1)}
        for place in range(len(examples[0].slices) if examples else 0):
            columns[f"slice {place}"] = [e.slices[place] for e in examples]
        codes = np.array([label for e in examples for label in e.labels], np.uint16)
        starts = np.cumsum([0, *(len(e.labels) for e in examples)])
        sets = LabelSets(codes, None if task == "single-label" else starts)
        return cls(TextTable(pyarrow.table(columns)), sets, np.arange(len(examples)), labels=labels, task=task)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> "Split": ...
    def __getitem__(self, index: int | slice) -> "Example | Split":
        if isinstance(index, slice):
            return self._view(self.rows[index])
        row = int(self.rows[index])
        return Example(self.table.text(row), self.sets.of(row), self.table.slices(row))

    def take(self, positions: npt.NDArray[Any]) -> "Split":
        """The examples at these positions, or where a mask is true."""
        return self._view(self.rows[positions])

    def texts(self) -> Iterator[str]:
        """The texts in order, each read when its turn comes."""
        return (self.table.text(row) for row in self.rows)

    def targets(self) -> npt.NDArray[Any]:
        """Single-label: the label of each text, int64 (texts,). Multi-label: 0 or 1, uint8 (texts, labels)."""
        positions, codes = self.sets.flat(self.rows)
        if self.task == "single-label":
            return codes.astype(np.int64)
        targets = np.zeros((len(self), self.labels), np.uint8)
        targets[positions, codes] = 1
        return targets

    def _view(self, rows: Indices) -> "Split":
        return Split(self.table, self.sets, rows, labels=self.labels, task=self.task)
