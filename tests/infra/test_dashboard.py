"""One dashboard a model: its panels, and that every metric in it is one that somebody writes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from functions.predict import telemetry
from tests.infra.conftest import Assembly

PANELS = {
    "Alarms", "Traffic", "Errors, by kind", "$ a million texts, at the prices of us-east-1", "Latency, ms",
    "Latency by stage, mean ms", "Label mix, texts", "Confidence", "Abstentions, % of texts",
    "Requests, by version and backend", "CPU and GPU, texts; requests that fell back", "Canary and shadow",
    "Cold starts", "Batch jobs",
}  # fmt: skip


@pytest.fixture
def widgets(aws: Assembly) -> list[dict[str, Any]]:
    """The dashboard's widgets, with the template's references as <name>."""
    body = aws.part("*-tickets-api").properties("AWS::CloudWatch::Dashboard")["DashboardBody"]
    parts = [
        part if isinstance(part, str) else f"<{json.dumps(part)[:20].replace(chr(34), '')}>"
        for part in body["Fn::Join"][1]
    ]
    found: list[dict[str, Any]] = json.loads("".join(parts))["widgets"]
    return found


def _own_metrics(widgets: list[dict[str, Any]]) -> set[str]:
    """Names of metrics in our namespace, plain or searched for."""
    names = set()
    for widget in widgets:
        for row in widget["properties"].get("metrics", []):
            if row[0] == "Slipway":
                names.add(row[1])
            elif isinstance(row[0], dict):
                names |= set(re.findall(r'Slipway,service.*?MetricName="(\w+)"', row[0]["expression"]))
    return names


def test_it_has_every_panel(widgets: list[dict[str, Any]]) -> None:
    assert {widget["properties"]["title"] for widget in widgets} == PANELS


def test_every_metric_of_ours_in_it_is_written_by_the_function(widgets: list[dict[str, Any]]) -> None:
    written = set(re.findall(r'"([A-Z]\w+)"', Path(telemetry.__file__).read_text()))
    names = _own_metrics(widgets)
    assert (
        {"Latency", "Encode", "Confidence", "Labels", "ColdStart", "GpuTexts", "Errors", "Refusals"} <= names <= written
    )


def test_nothing_in_it_needs_another_stack(aws: Assembly) -> None:
    body = json.dumps(aws.part("*-tickets-api").properties("AWS::CloudWatch::Dashboard"))
    assert "Fn::ImportValue" not in body
    name = aws.part("*-tickets-batch").properties("AWS::StepFunctions::StateMachine")["StateMachineName"]
    assert f":stateMachine:{name}" in body


def test_a_million_texts_cost_what_the_table_of_prices_says(widgets: list[dict[str, Any]]) -> None:
    (cost,) = [w for w in widgets if w["properties"]["title"].startswith("$ a million")]
    (expression,) = [row[0]["expression"] for row in cost["properties"]["metrics"] if isinstance(row[0], dict)]
    values = {"milliseconds": 8_500.0, "calls": 1_000.0, "texts": 1_000.0}
    expected = 8.5 * 1769 / 1024 * 0.0000166667 * 1000 + 0.2 + 3.5
    assert eval(expression, {}, values) == pytest.approx(expected)


def test_stages_add_up_to_the_latency_at_the_gateway(widgets: list[dict[str, Any]]) -> None:
    (stages,) = [w for w in widgets if w["properties"]["title"].startswith("Latency by stage")]
    expressions = [row[0]["expression"] for row in stages["properties"]["metrics"] if isinstance(row[0], dict)]
    values = {"api": 30.0, "integration": 20.0, "duration": 9.0, "answer": 7.0, "encode": 1.0}
    assert len(expressions) == 5
    assert sum(eval(each, {}, values) for each in expressions) == values["api"]
