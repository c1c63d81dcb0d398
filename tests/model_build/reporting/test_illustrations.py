"""Which plots a report has: those that there are numbers for."""

import pytest

from model_build.reporting.illustrations import draw_plots
from tests.model_build.reporting.test_plots import written
from tests.model_build.samples import sample

ALL = [
    *("comparison", "class-balance", "lengths", "training", "confusion", "curves", "reliability"),
    *("selective", "slices", "robustness", "frontier"),
]
EMPTY = sample(data={}, training={}, quality={}, baselines=[], frontier=[])


def test_all_of_them_in_the_order_of_the_page() -> None:
    assert list(draw_plots(sample())) == ALL


def test_none_where_nothing_was_measured() -> None:
    assert draw_plots(EMPTY) == {}


@pytest.mark.parametrize("name", ["confusion", "curves", "slices", "robustness", "selective"])
def test_what_is_missing_or_empty_is_not_drawn(name: str) -> None:
    quality = dict(sample().quality) | {name: None, "confused": []}
    assert name not in draw_plots(sample(quality=quality))


def test_of_many_labels_the_confused_pairs_are_drawn() -> None:
    figure = draw_plots(sample(labels=[f"topic {i}" for i in range(1_000)]))["confusion"]
    assert "negative → positive" in written(figure)


def test_the_balance_may_come_with_the_findings() -> None:
    findings = {"balance": {"train": {"no": 3, "yes": 1}}}
    assert list(
        draw_plots(sample(data={"findings": findings}, quality={}, baselines=[], frontier=[], training={}))
    ) == ["class-balance"]
