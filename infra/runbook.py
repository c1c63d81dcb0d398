"""What every alarm has in common: a section of docs/runbook.md, and somebody who is told.

An alarm's section is named as its place in the tree of constructs: ``Batch`` / ``Failed jobs`` is
``batch-failed-jobs``, which is the anchor of the heading "Batch: failed jobs". ``in_section`` gives another name, for
alarms that share one. A test holds the headings against the templates.
"""

import re

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct, IConstruct

_SECTION, _QUIET = "slipway:runbook", "slipway:quiet"


def in_section(construct: IConstruct, section: str) -> None:
    """``section`` is what the alarms under ``construct`` link to."""
    construct.node.add_metadata(_SECTION, section)


def quiet(construct: IConstruct) -> None:
    """The alarms under ``construct`` tell nobody: another one weighs them, or a machine acts on them."""
    construct.node.add_metadata(_QUIET, True)


def section_of(alarm: IConstruct) -> str:
    """The anchor of the section that ``alarm`` links to."""
    path = alarm.node.scopes[len(cdk.Stack.of(alarm).node.scopes) :]
    for construct in reversed(path):
        for entry in construct.node.metadata:
            if entry.type == _SECTION:
                return str(entry.data)
    return anchor(" ".join(construct.node.id for construct in path))


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading.

    >>> anchor("Batch: failed jobs")
    'batch-failed-jobs'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def finish_alarms(scope: Construct, *, runbook_url: str, topic: sns.ITopic | None) -> None:
    """Give every alarm under ``scope`` the link to its section, and have all but the quiet ones tell ``topic``.

    To be called once everything is in the tree.
    """
    for alarm in scope.node.find_all():
        if not isinstance(alarm, cloudwatch.Alarm | cloudwatch.CompositeAlarm):
            continue
        resource = alarm.node.default_child
        assert isinstance(resource, cloudwatch.CfnAlarm | cloudwatch.CfnCompositeAlarm)  # noqa: S101  of such an alarm
        says = (resource.alarm_description or "").rstrip(".")
        resource.alarm_description = f"{says}. What to do: {runbook_url}#{section_of(alarm)}"
        if topic and not _is_quiet(alarm):
            alarm.add_alarm_action(actions.SnsAction(topic))


def _is_quiet(alarm: IConstruct) -> bool:
    return any(entry.type == _QUIET for construct in alarm.node.scopes for entry in construct.node.metadata)
