"""What lets a canary grow: who may move the pointer, who may write counts, and how the workflow goes round."""

import json
from typing import Any

import pytest

from slipway.bakes.starting import parameter_name
from tests.infra.conftest import Assembly, Json, Synthesize


@pytest.fixture
def bake(aws: Assembly) -> Assembly:
    return aws.part("*-bake")


def allowed(assembly: Assembly, action: str) -> list[str]:
    """What the roles of these stacks may do ``action`` to, each reduced to its path in a bucket."""
    policies = [
        policy["Properties"]["PolicyDocument"]["Statement"] for policy in assembly.resources("AWS::IAM::Policy")
    ]
    statements = [s for policy in policies for s in policy if action in _list(s["Action"])]
    resources = [resource for statement in statements for resource in _list(statement["Resource"])]
    return sorted(resource["Fn::Join"][1][-1] if "Fn::Join" in resource else "" for resource in resources)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def definition(assembly: Assembly) -> Json:
    parts = assembly.properties("AWS::StepFunctions::StateMachine")["DefinitionString"]["Fn::Join"][1]
    found: Json = json.loads("".join(part if isinstance(part, str) else "reference" for part in parts))
    return found


def test_a_turn_may_move_the_pointer_and_write_the_ledger_of_its_model_and_nothing_else(bake: Assembly) -> None:
    assert allowed(bake, "s3:PutObject") == ["/models/tickets/ledger/*", "/models/tickets/live.json"]
    assert allowed(bake, "s3:GetObject") == ["/bakes/tickets/*", "/models/tickets/*"]


def test_the_function_that_answers_may_write_counts_and_nothing_that_is_served(synthesize: Synthesize) -> None:
    api = synthesize(stage="prod", model="tickets", models="mails,chats").part("*-api")
    written = [path for path in allowed(api, "s3:PutObject") if "inbox" not in path]
    assert written == ["/bakes/chats/*", "/bakes/mails/*", "/bakes/tickets/*"]


def test_the_workflow_waits_looks_and_goes_round_until_it_has_ended(bake: Assembly) -> None:
    steps = definition(bake)["States"]
    assert definition(bake)["StartAt"] == "Let it bake"
    assert (steps["Let it bake"]["SecondsPath"], steps["Let it bake"]["Next"]) == ("$.pause", "Look and judge")
    assert steps["Look and judge"]["Next"] == "Does it go on?"
    (choice,) = steps["Does it go on?"]["Choices"]
    assert (choice["Variable"], choice["StringEquals"], choice["Next"]) == ("$.state", "going", "Let it bake")
    assert steps["Does it go on?"]["Default"] == "Ended"


def test_a_look_that_fails_is_repeated_for_an_hour_and_then_rings(bake: Assembly) -> None:
    (retry,) = definition(bake)["States"]["Look and judge"]["Retry"]
    assert retry["ErrorEquals"] == ["States.ALL"]
    waits = [min(retry["IntervalSeconds"] * retry["BackoffRate"] ** i, retry["MaxDelaySeconds"]) for i in range(40)]
    assert retry["MaxAttempts"] == 40
    assert sum(waits) > 3_600
    *counted, total = sorted(bake.properties("AWS::CloudWatch::Alarm")["Metrics"], key=lambda m: "Expression" in m)
    names = {each["MetricStat"]["Metric"]["MetricName"] for each in counted}
    assert names == {"ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"}
    assert set(total["Expression"].split(" + ")) == {each["Id"] for each in counted}


def test_the_command_line_finds_the_workflow_by_bucket_and_model(bake: Assembly) -> None:
    parameter = bake.properties("AWS::SSM::Parameter")
    name = "".join(p if isinstance(p, str) else "BUCKET" for p in parameter["Name"]["Fn::Join"][1])
    assert name == parameter_name("BUCKET", "tickets")
    assert "Workflow" in parameter["Value"]["Ref"]


def test_the_local_cloud_bakes_as_well(local: Assembly) -> None:
    assert local.part("*-bake").properties("AWS::Lambda::Function")["Runtime"] == "provided.al2023"
