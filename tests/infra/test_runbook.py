"""Every alarm has a section of the runbook, every section an alarm, and whoever is named is told."""

import json
import re
from typing import Any

import pytest

from infra.runbook import anchor
from infra.settings import DeploymentError
from tests.infra.conftest import ROOT, Assembly, Synthesize

RUNBOOK = (ROOT / "docs/runbook.md").read_text("utf-8")
KINDS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
EVERYTHING = {"gpu": "scale-to-zero", "gpu_async": "true", "alarm_email": "oncall@example.com"}  # Spark has no alarm


@pytest.fixture(scope="module")
def everything(synthesize: Synthesize) -> Assembly:
    """All of a deployment that has alarms, and somebody to tell."""
    return synthesize(stage="prod", model="tickets", runbook_url="https://wiki.example.com/runbook", **EVERYTHING)


def _alarms(assembly: Assembly) -> list[dict[str, Any]]:
    return [alarm["Properties"] for kind in KINDS for alarm in assembly.resources(kind)]


def _section(alarm: dict[str, Any]) -> str:
    link = re.search(r" What to do: \S+#(\S+)$", alarm["AlarmDescription"])
    assert link, alarm["AlarmDescription"]
    return link[1]


def test_every_alarm_links_to_a_section_of_the_runbook_and_every_section_is_an_alarm_s(everything: Assembly) -> None:
    headings = {anchor(heading) for heading in re.findall(r"^### (.*)$", RUNBOOK, re.MULTILINE)}
    assert {_section(alarm) for alarm in _alarms(everything)} == headings


def test_every_section_says_what_it_means_what_callers_see_and_what_to_do() -> None:
    for section in RUNBOOK.split("\n### ")[1:]:
        for part in ("Means", "Callers see", "Look at", "do", "escalate"):
            assert f"**{part}**" in section or f"**{part.capitalize()}**" in section, (section.split("\n")[0], part)


def test_sections_link_to_sections() -> None:
    headings = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", RUNBOOK, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]*)\)", RUNBOOK)) <= headings


def test_the_base_of_the_links_is_an_argument(everything: Assembly, aws: Assembly) -> None:
    assert all("https://wiki.example.com/runbook#" in alarm["AlarmDescription"] for alarm in _alarms(everything))
    assert all("docs/runbook.md#" in alarm["AlarmDescription"] for alarm in _alarms(aws))


def test_all_alarms_mail_but_the_parts_of_others_and_those_that_only_wake_a_machine(everything: Assembly) -> None:
    silent = set()
    for alarm in _alarms(everything):
        told = [action for action in alarm.get("AlarmActions", []) if "-alarms" in json.dumps(action)]
        assert len(told) <= 1
        if not told:
            silent.add(_section(alarm) if "window" not in alarm["AlarmDescription"] else "a window")
    assert silent == {"a window", "endpoint-scaling-asleep", "async-scaling-asleep"}
    (subscription,) = everything.resources("AWS::SNS::Subscription")
    assert subscription["Properties"]["Endpoint"] == "oncall@example.com"


def test_without_an_address_there_is_no_topic(aws: Assembly) -> None:
    assert aws.resources("AWS::SNS::Topic") == []
    assert not [alarm for alarm in _alarms(aws) if "AlarmActions" in alarm]


@pytest.mark.parametrize("address", ["nobody", "a@b", "a b@c.de"])
def test_an_address_that_is_none_is_refused(synthesize: Synthesize, address: str) -> None:
    with pytest.raises(DeploymentError, match="alarm_email"):
        synthesize(stage="prod", alarm_email=address)
