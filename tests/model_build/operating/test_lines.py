"""The function's own lines, read back as the metrics that CloudWatch makes of them."""

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_build.operating.lines import from_lines, read_line
from model_build.operating.panels import figures, panels
from model_build.operating.readings import Readings, Span, percentile, total, weighted_middle
from model_build.operating.told import tell
from tests.model_build.operating.conftest import CANARY, LIVE

NOW = 1_795_690_000.0
SPAN = Span.until(NOW, minutes=60)


@pytest.fixture
def readings(lines: list[str]) -> Readings:
    return from_lines([(NOW - 90, line) for line in lines], SPAN, service="demo-prod")


def test_everything_that_was_written_is_counted(readings: Readings) -> None:
    found = figures(readings, memory_mb=1769)
    assert (found.requests, found.texts, found.tokens, found.cold_starts) == (5, 5, 50, 1)
    assert (found.errors_by_kind, found.refusals_by_kind) == ({"ModelUnavailable": 1}, {"InvalidRequest": 1})
    assert found.labels == {"negative": 2, "positive": 2, "(abstained)": 1}
    assert found.versions == {f"cpu-int8 {LIVE}": 2, f"cpu-int8 {CANARY}": 1}
    assert (found.p50_ms, found.p99_ms, found.error_part) == (8.0, 12.0, 0.2)
    assert found.fallbacks == {"capacity": 1}


def test_a_million_texts_cost_what_the_table_of_prices_says(readings: Readings) -> None:
    """Three requests of 8.36 ms at the mean are billed as 9 each, and had five texts."""
    seconds = 3 * 0.009 * 1769 / 1024
    expected = (seconds * 0.0000166667 + 3 * (0.2 + 3.5) / 1e6) / 5 * 1e6
    assert figures(readings, memory_mb=1769).dollars_a_million == pytest.approx(expected)


def test_panels_have_a_number_a_step_and_stages_add_up(readings: Readings) -> None:
    drawn = {panel.title: panel for panel in panels(readings, memory_mb=1769)}
    assert all(len(s) == SPAN.steps for panel in drawn.values() for s in panel.series.values())
    stages = {name: total(series) for name, series in drawn["Latency by stage, means"].series.items()}
    assert stages == {"encode": 1.0, "run": 7.0}
    assert total(drawn["Abstentions"].series["of texts"]) == 20.0


def test_other_services_and_other_times_do_not_count(lines: list[str]) -> None:
    early = from_lines([(NOW - 7_200, line) for line in lines], SPAN, service="demo-prod")
    other = from_lines([(NOW - 90, line) for line in lines], SPAN, service="demo-qa")
    assert figures(early, memory_mb=1769).requests == figures(other, memory_mb=1769).requests == 0


def test_nothing_is_a_picture_too() -> None:
    found = figures(Readings(SPAN), memory_mb=1769)
    assert (found.requests, found.error_part) == (0, 0)
    assert math.isnan(found.p50_ms)
    assert len(panels(Readings(SPAN), memory_mb=1769)) >= 12


WORDS = ["_aws", "CloudWatchMetrics", "Dimensions", "Metrics", "Name", "service", "message", "Latency"]
values = [*WORDS, "demo-prod"]
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.sampled_from(values),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)
metrics = st.fixed_dictionaries({"Name": st.sampled_from(["Latency", "Texts"]) | anything})
directives = st.fixed_dictionaries(
    {"Dimensions": st.lists(st.just(["service"]) | anything, max_size=2), "Metrics": st.lists(metrics, max_size=2)}
)
documents = st.fixed_dictionaries(
    {"service": st.just("demo-prod"), "Latency": anything, "Texts": anything},
    optional={
        "_aws": st.fixed_dictionaries({"CloudWatchMetrics": st.lists(directives, max_size=2)}),
        "message": anything,
    },
)


@settings(max_examples=150, deadline=None)
@given(anything | documents | st.text(max_size=60))
def test_no_line_stops_anything(content: Any) -> None:
    line = content if isinstance(content, str) else json.dumps(content)
    from_lines([(NOW - 90, line)], SPAN, service="demo-prod")
    told = tell(NOW, line)
    assert told is None or "\n" not in told.text.plain


@pytest.mark.parametrize("line", ["", "START RequestId: 1", "[1]", '{"a":', "{" * 10_000, "null"])
def test_what_is_no_object_is_none(line: str) -> None:
    assert read_line(line) is None


def test_a_request_is_one_line_for_people(lines: list[str]) -> None:
    told = [each for line in lines if (each := tell(NOW, line))]
    texts = [each.text.plain[9:] for each in told]
    assert [each.is_trouble for each in told] == [False, False, False, True, True, True]
    assert "positive" in texts[0]
    assert texts[0].split()[-5:] == ["10", "tokens", "0.90", "sure", "cold"]
    assert "3 texts" in texts[1]
    assert texts[3].split() == ["refused", "status=422", "kind=InvalidRequest"]
    assert "kind=capacity" in texts[5]


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("2026-11-26T11:00:00Z c6af9ac6 Task timed out after 29.00 seconds", True),
        ("REPORT RequestId: c6af9ac6 Duration: 3 ms", None),
        ('{"level":"INFO","message":"serving","model_version":"v"}', False),
        ('{"level":"ERROR","message":"crashed","error_type":"KeyError"}', True),
    ],
)
def test_lambda_s_own_lines_are_told_where_a_request_broke(line: str, trouble: bool | None) -> None:
    told = tell(NOW, line)
    assert (told.is_trouble if told else None) == trouble


def test_a_forged_line_break_stays_in_its_line() -> None:
    told = tell(NOW, json.dumps({"level": "WARNING", "message": "refused", "kind": "a\nb\x1b[31m"}))
    assert told
    assert told.text.plain.endswith("kind=a?b?[31m")


def test_percentiles_by_hand() -> None:
    assert [percentile([1, 2, 3, 4], part) for part in (0.5, 0.99)] == [2, 4]
    assert math.isnan(percentile([], 0.5))
    assert weighted_middle([1, 9, math.nan], [1, 3, 100]) == 9


def test_steps_are_whole_minutes_and_end_after_now() -> None:
    for now, minutes in itertools.product((NOW, NOW // 60 * 60), (1, 7, 60, 61, 1_440)):
        span = Span.until(now, minutes=minutes)
        assert span.seconds % 60 == 0
        assert span.steps <= 60
        assert span.step(now) == span.steps - 1
        assert span.seconds * span.steps >= minutes * 60
