"""The plot and the tables of a cost report, from work that is made up."""

import dataclasses
import io
import json
import math

import pytest
from rich.console import Console

from model_build.reporting.cost_estimate import Assumptions
from model_build.reporting.cost_gpus import Speed
from model_build.reporting.cost_plot import costs_figure, plot_costs
from model_build.reporting.cost_report import CostReport
from model_build.reporting.cost_tables import cost_tables, rate
from model_build.reporting.cost_work import Work
from slipway.prices import read_prices
from tests.model_build.reporting.test_plots import written

WORKS = [Work(tokens=tokens, texts=10, milliseconds=10.0 * tokens) for tokens in (8, 32, 128)]
UNMEASURED = CostReport("a test", WORKS, [512, 1769, 3008], read_prices(), Assumptions(), speeds=[], rates=[1.0, 100.0])
FAST = Speed(instance="ml.g5.xlarge", tokens=32, texts_per_second=5_000.0, latency_ms=12.0)
MEASURED = dataclasses.replace(UNMEASURED, speeds=[FAST])


def shown(report: CostReport) -> str:
    console = Console(width=100, file=io.StringIO())
    with console.capture() as capture:
        console.print(cost_tables(report))
    return capture.get()


def test_lengths_instances_and_the_first_break_even_are_named() -> None:
    words = written(costs_figure(UNMEASURED))
    assert {"8 tokens", "32 tokens", "128 tokens", "arm64", "Lambda, 1,769 MB", "ml.g4dn.xlarge"} <= set(words)
    first = min(gpu.break_even_rps for gpu in UNMEASURED.on_gpus())
    assert f"{rate(first)}/s" in words
    assert "not measured" in " ".join(words)


def test_the_curves_of_the_plot_cross_at_the_dots() -> None:
    _, axes = costs_figure(MEASURED).axes
    lines = {line.get_label(): line for line in axes.lines}
    flat = lines["Lambda, 1,769 MB"].get_ydata()[0]
    even = next(gpu.break_even_rps for gpu in MEASURED.on_gpus() if gpu.instance == "ml.g5.xlarge")
    assert math.isfinite(even)
    for rps, dollars in zip(*lines["ml.g5.xlarge"].get_data(), strict=True):
        if rps < 0.98 * even:
            assert dollars > flat
        elif even * 1.02 < rps < 2 * even:
            assert dollars < flat


def test_what_never_pays_is_drawn_without_a_dot() -> None:
    hopeless = dataclasses.replace(UNMEASURED, assumed=Assumptions(wait_ms=5_000.0))
    figure = costs_figure(hopeless)
    assert len(figure.axes[1].lines) == 1 + len(hopeless.on_gpus())
    assert plot_costs(hopeless).startswith(b"\x89PNG")


def test_the_same_report_is_the_same_picture() -> None:
    assert plot_costs(MEASURED) == plot_costs(MEASURED)


def test_tables_say_what_was_not_measured_and_never_invent_it() -> None:
    lines = {line.split()[0]: line for line in shown(MEASURED).splitlines() if line.startswith("ml.")}
    assert "not measured" in lines["ml.g6.xlarge"]
    assert "5,000" in lines["ml.g5.xlarge"]
    assert "not measured" not in lines["ml.g5.xlarge"]


def test_every_assumption_and_unconfirmed_price_is_printed() -> None:
    text = " ".join(shown(UNMEASURED).split())
    for word in (
        "us-east-1",
        "2026-11-26",
        "comprehend_custom_unit",
        "1,769 MB",
        "486 ms",
        "940 bytes",
        "60 %",
        "0 ms",
    ):
        assert word in text
    assert "counts as 0 ms" in text
    assert "It waits 12 ms" in " ".join(shown(MEASURED).split())


def test_a_month_has_lambda_and_the_measured() -> None:
    one, hundred = MEASURED.months()
    assert list(one) == ["requests_per_second", "lambda_x86_64", "lambda_arm64", "ml.g5.xlarge"]
    assert hundred["lambda_x86_64"] == pytest.approx(100 * one["lambda_x86_64"])
    assert one["ml.g5.xlarge"] > one["lambda_x86_64"]
    assert hundred["ml.g5.xlarge"] < hundred["lambda_x86_64"]
    assert "$ a month" in shown(MEASURED)
    assert list(UNMEASURED.months()[0]) == ["requests_per_second", "lambda_x86_64", "lambda_arm64"]


def test_the_document_is_json_without_infinities() -> None:
    hopeless = dataclasses.replace(MEASURED, assumed=Assumptions(wait_ms=5_000.0))
    document = json.loads(json.dumps(hopeless.to_dict(), allow_nan=False))
    assert {gpu["break_even_rps"] for gpu in document["gpus"]} == {None}
    assert len(document["lambda"]) == 3 * 3 * 2
    assert document["prices"]["services"]["logs_gb"]["page"]
    assert document["compared_tokens"] == 32
