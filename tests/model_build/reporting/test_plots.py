"""Plots of data and training: drawn from the sample, and from what is at the edge of what they get."""

import re
from xml.etree import ElementTree as ET

import pytest
from matplotlib.figure import Figure

from model_build.reporting import plots
from model_build.reporting.figures import to_svg


def written(figure: Figure) -> list[str]:
    """All texts of a plot, as a browser would show them."""
    return ["".join(node.itertext()) for node in ET.fromstring(to_svg(figure)).iter() if node.tag.endswith("}text")]


def test_class_balance_names_labels_and_counts_splits() -> None:
    words = written(plots.class_balance({"train": {"no": 30, "yes": 10}, "test": {"no": 3, "yes": 1}}))
    assert words.index("no") < words.index("yes")
    assert {"train (40)", "test (4)"} <= set(words)


def test_of_many_labels_the_most_frequent_are_shown() -> None:
    words = written(plots.class_balance({"train": {f"label {i:03}": 1000 - i for i in range(1000)}, "test": {}}))
    assert "label 029" in words
    assert "label 030" not in words
    assert "the 30 most frequent of 1000 labels" in " ".join(words)


def test_a_split_without_a_label_has_none_of_it() -> None:
    assert "yes" in written(plots.class_balance({"train": {"no": 3, "yes": 1}, "dev": {"no": 1}}))


def test_lengths_names_shortest_median_and_longest() -> None:
    assert {"4", "110", "1,267"} <= set(written(plots.lengths([4, 41, 62, 79, 95, 110, 126, 143, 162, 188, 1267])))


def test_lengths_of_very_different_texts_are_drawn_by_magnitude() -> None:
    (axes,) = plots.lengths([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10_000]).axes
    assert axes.get_yscale() == "log"


def test_the_best_check_is_named() -> None:
    history = [{"epoch": e, "loss": 1 / e, "dev": score} for e, score in ((1, 0.7), (2, 0.8123), (3, 0.79))]
    assert "0.8123" in written(plots.training_curve(history))


@pytest.mark.parametrize("missing", ["loss", "dev"])
def test_a_history_may_lack_losses_or_scores(missing: str) -> None:
    assert "epoch" in written(plots.training_curve([{"epoch": 1, "loss": 0.5, "dev": 0.7, missing: None}]))


def test_comparison_names_everyone_with_the_accuracy() -> None:
    rows = [
        {"name": "majority", "accuracy": 0.5, "interval": None},
        {"name": "this model (int8)", "accuracy": 0.8388, "interval": [0.81, 0.86]},
    ]
    words = written(plots.comparison(rows))
    assert {"majority", "50.0 %", "this model (int8)", "83.9 %"} <= set(words)
    assert [word for word in words if re.fullmatch(r"\d+ %", word)]  # round numbers on the scale
