"""docs/faults.md: ``page.md``, which is written by hand, with the matrix in it."""

from collections.abc import Iterable
from pathlib import Path

from tests.faults.runner import Found

PAGE = Path(__file__).with_name("page.md").read_text("utf-8")
_PLACE = "@ROWS@\n"


def document(found: Iterable[Found]) -> str:
    """The whole page."""
    lines = [_line(row.where, row.what, outcome.sees, outcome.after, str(outcome.lost)) for row, outcome, _ in found]
    return PAGE.replace(_PLACE, "".join(lines))


def around() -> list[str]:
    """What stands before the rows, and behind them."""
    return PAGE.split(_PLACE)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
