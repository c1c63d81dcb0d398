"""The frontier: which points lie on it, and how the chosen one is told from the others."""

from typing import Any

import pytest

from model_build.reporting.frontier_plot import frontier, pareto
from model_build.reporting.verdict import least_accuracy
from tests.model_build.reporting.test_plots import written
from tests.model_build.samples import sample

POINTS = list(sample().frontier)


def test_the_frontier_is_what_nothing_beats_in_both() -> None:
    assert [(p["recipe"], p["precision"]) for p in pareto(POINTS)] == [
        ("cut:0.5+distil", "rows"),
        ("full", "rows"),
        ("full", "weights"),
    ]


def test_of_equally_fast_points_the_more_accurate_is_on_it() -> None:
    assert pareto([{"ms": 1, "dev_accuracy": a} for a in (0.7, 0.8, 0.75)]) == [{"ms": 1, "dev_accuracy": 0.8}]


def test_few_points_are_all_named_and_precisions_explained() -> None:
    words = written(frontier(POINTS, least_accuracy(sample())))
    assert words.count("full") == 5
    assert "milliseconds a text, alone, one thread (largest bubble: 90.4 MB)" in words
    assert {"fp32", "dynamic", "static", "rows", "weights", "allowed from here up"} <= set(words)


def test_of_many_points_only_the_frontier_is_named() -> None:
    many = POINTS + [POINTS[1] | {"recipe": f"cut:{i}", "dev_accuracy": 0.8} for i in range(1, 10)]
    words = written(frontier(many))
    assert "cut:0.5+distil" in words
    assert "cut:3" not in words


def test_the_chosen_point_is_ringed_and_the_excluded_are_hollow() -> None:
    (axes,) = frontier(POINTS).axes
    hollow = [dots for dots in axes.collections if not len(dots.get_facecolor())]
    assert len(axes.collections) == len(POINTS) + 1
    assert len(hollow) == 1 + sum(not p["allowed"] for p in POINTS)


@pytest.mark.parametrize("change", [{"ms": 0.0}, {"megabytes": 0.0}, {"recipe": "<b>$x$</b>"}])
def test_one_point_of_any_kind_is_drawn(change: dict[str, Any]) -> None:
    assert "milliseconds a text, alone" in " ".join(written(frontier([POINTS[0] | change])))


def test_a_long_name_is_written_within_the_axes_at_either_end() -> None:
    ends = [POINTS[0] | {"recipe": "soup+cut:0,2,4+distil+distil+trim", "ms": ms, "allowed": True} for ms in (1.0, 8.0)]
    figure = frontier(ends)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert [name.get_text() for name in axes.texts] == ["soup+cut:0,2,4+distil+distil+trim"] * 2
    for extent in (name.get_window_extent() for name in axes.texts):
        assert axes.bbox.x0 <= extent.x0 < extent.x1 <= axes.bbox.x1
