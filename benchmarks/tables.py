"""A topic's result: tables for people, numbers for the plot; on the terminal, as Markdown, and as JSON between runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from model_build.reporting.card import table as markdown_table


@dataclass(frozen=True, kw_only=True)
class Table:
    """``reading`` is the one sentence that tells how to read it; the first column names the rows."""

    title: str
    reading: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """A heading, the sentence, the table, the notes."""
        notes = "".join(f"\n- {note}" for note in self.notes)
        return f"### {self.title}\n\n{self.reading}\n\n{markdown_table(self.head, self.rows)}\n{notes}".rstrip() + "\n"

    def rich(self) -> RenderableType:
        """The same for a terminal."""
        drawn = RichTable(title=self.title, title_justify="left", title_style="bold")
        for index, name in enumerate(self.head):
            drawn.add_column(name, justify="right" if index else "left", no_wrap=not index, overflow="fold")
        for row in self.rows:
            drawn.add_row(*map(Text, row))
        return Group(drawn, *(Text(line, style="dim") for line in (self.reading, *self.notes)), "")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one topic measured, and where and when. ``numbers`` holds seconds by name, for the plot."""

    topic: str
    command: str
    date: str
    machine: str
    quick: bool
    seconds: float
    tables: Sequence[Table]
    numbers: Mapping[str, float] = field(default_factory=dict)

    def show(self, console: Console) -> None:
        """Print the tables."""
        for table in self.tables:
            console.print(table.rich())

    def save(self, directory: Path) -> None:
        """Keep it for a report that may be written by another run."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{self.topic}.json").write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """What ``save`` wrote."""
        content = json.loads(path.read_text())
        return cls(**content | {"tables": [Table(**table) for table in content["tables"]]})


@dataclass(frozen=True)
class Measured:
    """What a topic's ``measure`` gives."""

    tables: Sequence[Table]
    numbers: Mapping[str, float] = field(default_factory=dict)


def milliseconds(seconds: float) -> str:
    """Three figures that matter.

    >>> milliseconds(0.0123456), milliseconds(0.000123), milliseconds(1.5)
    ('12.3', '0.123', '1500')
    """
    value = seconds * 1e3
    return f"{value:.{3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0}f}"


def times(quotient: float) -> str:
    """A ratio.

    >>> times(2.345), times(23.45)
    ('2.35x', '23.4x')
    """
    return f"{quotient:.{2 if quotient < 10 else 1}f}x"


def megabytes(count: float) -> str:
    """Bytes in millions.

    >>> megabytes(23_489_256)
    '23.5'
    """
    return f"{count / 1e6:.1f}" if count < 1e8 else f"{count / 1e6:.0f}"
