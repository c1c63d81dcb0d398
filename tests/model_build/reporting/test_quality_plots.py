"""Plots of a quality report: few labels and many, and numbers that are missing."""

import pytest

from model_build.reporting import quality_plots
from model_build.reporting.figures import to_png
from tests.model_build.reporting.test_plots import written
from tests.model_build.samples import LABELS, quality

GOOD = quality(LABELS, [[349, 77], [60, 366]])


def test_confusion_shows_every_number_and_label() -> None:
    words = written(quality_plots.confusion(GOOD["confusion"], LABELS))
    assert {"349", "77", "60", "366", *LABELS, "true", "predicted"} <= set(words)


def test_confusion_of_thirty_labels_is_drawn() -> None:
    labels = [f"a label with the number {i}" for i in range(30)]
    matrix = [[50 if i == j else (i + j) % 3 for j in range(30)] for i in range(30)]
    assert written(quality_plots.confusion(matrix, labels)).count("50") == 30


def test_a_label_without_texts_divides_nothing_by_zero() -> None:
    assert to_png(quality_plots.confusion([[3, 0], [0, 0]], LABELS))


def test_pairs_of_many_labels_are_named_with_their_texts() -> None:
    rows = [{"given": f"topic {i}", "predicted": f"topic {i + 1}", "texts": 20 - i} for i in range(20)]
    words = written(quality_plots.confused_pairs(rows))
    assert "topic 0 → topic 1" in words
    assert "topic 19 → topic 20" in words


def test_curves_are_named_and_those_without_points_left_out() -> None:
    rows = [*GOOD["curves"]["labels"], {"label": "never seen", "roc": None, "pr": None}]
    words = written(quality_plots.curves(rows, GOOD["curves"]["micro"]))
    assert {*LABELS, "all (micro)"} <= set(words)
    assert "never seen" not in words


def test_at_most_eight_labels_have_curves() -> None:
    rows = [GOOD["curves"]["labels"][0] | {"label": f"topic {i}"} for i in range(10)]
    words = written(quality_plots.curves(rows, {}))
    assert [word for word in words if word.startswith("topic")] == [f"topic {i}" for i in range(8)]


def test_reliability_tells_both_errors() -> None:
    words = written(quality_plots.reliability(GOOD["calibration"]["before"], GOOD["calibration"]["after"]))
    assert {"before: error 0.0523", "after: error 0.0187"} <= set(words)


def test_reliability_without_an_answer_is_empty() -> None:
    empty = {"error": None, "bins": []}
    assert to_png(quality_plots.reliability(empty, empty))


def test_selective_names_thresholds() -> None:
    words = written(quality_plots.selective(GOOD["selective"]))
    assert "≥ 0.50" in words
    assert len([word for word in words if word.startswith("≥")]) == 5


def test_selective_of_one_threshold() -> None:
    assert "≥ 1.00" in written(quality_plots.selective([{"threshold": 1.0, "coverage": 1.0, "accuracy": 1.0}]))


def test_a_slice_that_is_surely_worse_has_another_colour() -> None:
    figure = quality_plots.slices(GOOD["slices"], 0.839)
    colors = [line.get_color() for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    assert len(set(colors)) == 2
    assert colors[1] == colors[2] != colors[0]


def test_a_slice_without_an_interval_is_a_dot() -> None:
    row = {"column": "source", "value": "web", "texts": 12, "accuracy": 0.75, "interval": None}
    assert {"source: web (12)", "75.0 %"} <= set(written(quality_plots.slices([row], 0.8)))


@pytest.mark.parametrize(("accuracy", "points"), [(0.8, "+0.0"), (0.769, "-3.1"), (0.81, "+1.0")])
def test_robustness_tells_points(accuracy: float, points: str) -> None:
    row = {"change": "upper case", "accuracy": accuracy, "same_label": 0.9}
    assert {"upper case", points, "as they are: 80.0 %"} <= set(written(quality_plots.robustness([row], 0.8)))
