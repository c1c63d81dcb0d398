"""The grid: measured side by side, chosen on dev, and refused if nothing is good enough."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_build.compression.frontier import Point, choose, measure, megabytes, write_candidates
from model_build.compression.students import Trained
from model_build.reporting.frontier_report import frontier_table, save_frontier
from model_build.sections import CompressConfig
from model_build.training.networks import EncoderClassifier
from model_build.training.rows import Rows
from slipway.encoding import Encoder
from slipway.errors import GateFailed
from tests.model_build.conftest import random_rows, torch_answers


def point(recipe: str = "full", precision: str = "fp32", **fields: Any) -> Point:
    values = {"dev_accuracy": 0.85, "test_accuracy": 0.8, "flips": 0, "batch_flips": 0, "ms": 6, "megabytes": 90}
    return Point(recipe=recipe, precision=precision, **values | fields)  # type: ignore[arg-type]


FULL = point()
SMALL = point("cut:3+distil", "rows", dev_accuracy=0.846, ms=1, megabytes=18)
FAST = point("cut:1", "rows", dev_accuracy=0.80, ms=0.4, megabytes=14)
BATCHED = point("full", "dynamic", ms=0.8, batch_flips=0.02)
TINY = point("cut:2+distil", "weights", dev_accuracy=0.848, ms=3, megabytes=15)
GRID = [FULL, SMALL, FAST, BATCHED, TINY]


def chosen(points: list[Point], **settings: Any) -> Point:
    marked = choose(points, CompressConfig(**settings), full=0.85, flips=0.01)
    (found,) = [point for point in marked if point.chosen]
    assert found.allowed
    return found


def test_the_fastest_point_that_meets_the_constraint_ships() -> None:
    assert chosen(GRID).recipe == "cut:3+distil"


def test_of_points_as_fast_as_one_another_the_better_one_ships() -> None:
    """A network taught by its own kind is as large as before: which is a hair faster is the machine's mood."""
    better = point("distil", dev_accuracy=0.86, ms=6.2)
    assert chosen([FULL, better]).recipe == "distil"
    assert chosen([FULL, point("distil", dev_accuracy=0.86, ms=6.7)]).recipe == "full"
    assert chosen([FULL, better], minimize="size").recipe == "distil"
    assert chosen([FULL, point("distil", dev_accuracy=0.86, megabytes=91)], minimize="size").recipe == "full"


def test_the_smallest_one_if_size_is_minimized() -> None:
    assert chosen(GRID, minimize="size").recipe == "cut:2+distil"


def test_a_looser_constraint_allows_a_faster_point_and_a_stricter_one_does_not() -> None:
    assert chosen(GRID, constraint="accuracy_drop <= 5").recipe == "cut:1"
    assert chosen(GRID, constraint="accuracy_drop <= 0.1").recipe == "full"


def test_a_drop_of_just_the_bound_is_allowed() -> None:
    assert chosen([point("cut:3", dev_accuracy=0.845)]).recipe == "cut:3"


def test_an_answer_that_depends_on_the_batch_does_not_ship() -> None:
    marked = choose([FULL, BATCHED], CompressConfig(), full=0.85, flips=0.01)
    assert [(p.allowed, p.chosen) for p in marked] == [(True, True), (False, False)]


def test_a_point_that_changes_more_labels_than_the_gate_allows_does_not_ship() -> None:
    """Faster and by chance more accurate, and refused by the next stage: it was so with static int8."""
    static = point("cut:3+distil", "static", dev_accuracy=0.86, ms=0.9, flips=0.045)
    assert chosen([*GRID, static]).precision == "rows"


def test_the_test_split_decides_nothing() -> None:
    worse = [Point(**{**p.to_dict(), "test_accuracy": 0.0 if p is SMALL else 1.0}) for p in GRID]
    assert chosen(worse).recipe == "cut:3+distil"


def test_no_point_good_enough_is_a_gate_that_names_the_nearest() -> None:
    with pytest.raises(GateFailed, match=r"accuracy_drop <= 0\.5.*0\.8500.*cut:1 in rows, 0\.8000"):
        choose([FAST], CompressConfig(), full=0.85, flips=0.01)


def test_the_table_has_every_point_fastest_first_and_marks_the_choice() -> None:
    table = frontier_table(choose(GRID, CompressConfig(), full=0.85, flips=0.01)).splitlines()
    assert len(table) == 2 + len(GRID)
    assert [row.split("|")[2].strip() for row in table[2:]] == ["cut:1", "full", "cut:3+distil", "cut:2+distil", "full"]
    assert [row.split("|")[1].strip() for row in table[2:]] == ["", "", "→", "·", "·"]
    assert len({len(row) for row in table}) == 1


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    path = save_frontier(choose(GRID, CompressConfig(), full=0.85, flips=0.01), CompressConfig(), tmp_path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_candidates_are_measured_as_they_would_serve(bert: EncoderClassifier, tiny_base: Path, tmp_path: Path) -> None:
    from model_build.training.bases import load_tokenizer

    tokens = random_rows(3, [*range(3, 35)] * 2)
    targets = torch_answers(bert, tokens).argmax(1)
    targets[:8] = (targets[:8] + 1) % 3
    rows = Rows(tokens, targets, 3, "single-label")
    encoder = Encoder(load_tokenizer(str(tiny_base))[0], max_tokens=64)
    trained = Trained(network=bert, encoder=encoder, report={})

    def candidates() -> Any:
        return write_candidates(
            "full", trained, ["rows", "dynamic"], calibration=tokens, dev=rows, test=rows, directory=tmp_path
        )

    points = {p.precision: p for p in measure(candidates(), "single-label")}
    assert list(points) == ["fp32", "rows", "dynamic"]
    assert points["fp32"].dev_accuracy == points["fp32"].test_accuracy == 1 - 8 / 64
    assert points["fp32"].flips == points["fp32"].batch_flips == points["rows"].batch_flips == 0
    assert points["rows"].flips < 0.1
    assert points["rows"].megabytes < points["fp32"].megabytes == megabytes(tmp_path / "fp32" / "model.onnx")
    assert all(p.ms > 0 for p in points.values())
    times = [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*.onnx"))]
    candidates()
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*.onnx"))] == times  # not written again
    assert np.unique(targets).size > 1
