"""The matrix as a page of docs."""

from collections.abc import Iterable

from tests.faults.runner import Found


def document(found: Iterable[Found]) -> str:
    """docs/faults.md."""
    lines = ["| where | fault | what the caller sees | afterwards | lost |", "| --- | --- | --- | --- | --- |"]
    for row, outcome, _ in found:
        cells = (row.where, row.what, outcome.sees, outcome.after, str(outcome.lost))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
