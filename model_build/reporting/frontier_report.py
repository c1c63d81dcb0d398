"""The grid as a table for a terminal or a Markdown page, and as a picture."""

from collections.abc import Sequence
from pathlib import Path

from model_build.compression.frontier import Point
from model_build.sections import CompressConfig

_HEAD = ("", "recipe", "precision", "dev", "test", "flips", "batch flips", "ms", "MB")


def frontier_table(points: Sequence[Point]) -> str:
    """Markdown that a terminal shows in columns: fastest first; ``→`` marks the choice, ``·`` what is allowed."""
    rows = [_HEAD, *(_cells(point) for point in sorted(points, key=lambda point: point.ms))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [_line(row, widths) for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def save_frontier(points: Sequence[Point], grid: CompressConfig, directory: Path) -> Path:
    """Draw the grid into ``directory``."""
    from model_build.reporting.figures import to_png
    from model_build.reporting.frontier_plot import frontier

    full = next(p.dev_accuracy for p in points if (p.recipe, p.precision) == ("full", "fp32"))
    figure = frontier([point.to_dict() for point in points], full - grid.accuracy_drop / 100)
    path = directory / "frontier.png"
    path.write_bytes(to_png(figure))
    return path


def _cells(point: Point) -> tuple[str, ...]:
    return (
        "→" if point.chosen else "·" if point.allowed else "",
        point.recipe,
        point.precision,
        f"{point.dev_accuracy:.4f}",
        f"{point.test_accuracy:.4f}",
        f"{100 * point.flips:.2f} %",
        f"{100 * point.batch_flips:.2f} %",
        f"{point.ms:.2f}",
        f"{point.megabytes:.1f}",
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
