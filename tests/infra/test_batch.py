"""The workflow, what starts it, and who may do what."""

import json
from typing import Any

import pytest

from tests.infra.conftest import Assembly, Json


@pytest.fixture
def batch(aws: Assembly) -> Assembly:
    return aws.part("*-batch")


@pytest.fixture
def definition(batch: Assembly) -> Json:
    """The workflow, with every reference as a name."""
    parts = batch.properties("AWS::StepFunctions::StateMachine")["DefinitionString"]["Fn::Join"][1]
    loaded: Json = json.loads("".join(part if isinstance(part, str) else "reference" for part in parts))
    return loaded


def _steps(definition: Json) -> dict[str, Any]:
    processor = definition["States"]["Score the shards"]["ItemProcessor"]
    return {**definition["States"], **processor["States"]}


def test_shards_are_scored_by_a_distributed_map_over_a_list_in_s3(definition: Json) -> None:
    shards = definition["States"]["Score the shards"]
    assert shards["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert shards["ItemReader"]["ReaderConfig"]["InputType"] == "JSONL"
    assert shards["ItemReader"]["Parameters"]["Key.$"] == "$.shards"
    assert shards["MaxConcurrency"] == 100
    assert "ToleratedFailurePercentage" not in shards


def test_every_step_is_tried_again_with_backoff_and_jitter(definition: Json) -> None:
    tasks = {name: step for name, step in _steps(definition).items() if step["Type"] == "Task"}
    assert len(tasks) == 3
    for step in tasks.values():
        (retry,) = step["Retry"]
        assert (retry["ErrorEquals"], retry["JitterStrategy"]) == (["States.ALL"], "FULL")
        assert retry["BackoffRate"] > 1
        assert "Catch" not in step, "what is caught cannot be redriven"


def test_a_shard_that_needs_more_time_is_continued(definition: Json) -> None:
    steps = _steps(definition)
    assert steps["Is it done?"]["Default"] == "Score a shard"
    assert steps["Score a shard"]["Next"] == "Is it done?"


def test_only_the_inbox_of_the_model_starts_it(batch: Assembly) -> None:
    patterns = [rule["Properties"]["EventPattern"] for rule in batch.resources("AWS::Events::Rule")]
    (upload,) = [pattern for pattern in patterns if pattern["source"] == ["aws.s3"]]
    assert upload["detail-type"] == ["Object Created"]
    assert upload["detail"]["object"] == {"key": [{"prefix": "inbox/tickets/"}]}
    (failure,) = [pattern for pattern in patterns if pattern["source"] == ["aws.states"]]
    assert failure["detail"]["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]


def test_events_that_cannot_be_delivered_are_kept(batch: Assembly) -> None:
    for rule in batch.resources("AWS::Events::Rule"):
        (target,) = rule["Properties"]["Targets"]
        assert target["DeadLetterConfig"]
        assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}


def test_failed_jobs_raise_an_alarm(batch: Assembly) -> None:
    alarm = batch.properties("AWS::CloudWatch::Alarm")
    assert (alarm["MetricName"], alarm["Threshold"], alarm["TreatMissingData"]) == (
        "ExecutionsFailed", 1, "notBreaching",
    )  # fmt: skip


def test_start_is_a_zip_with_the_runtime_as_its_layer_and_the_others_are_images(batch: Assembly) -> None:
    functions = [function["Properties"] for function in batch.resources("AWS::Lambda::Function")]
    zips = [function for function in functions if "Handler" in function]
    assert [function["Handler"] for function in zips] == ["functions.batch.start.handler"]
    assert zips[0]["Layers"]
    images = {function["ImageConfig"]["Command"][0] for function in functions if "ImageConfig" in function}
    assert images == {f"functions.batch.{verb}.handler" for verb in ("plan", "score", "finish", "failed")}


def test_nothing_may_delete_and_only_results_and_parts_are_written(batch: Assembly) -> None:
    statements = [
        statement
        for policy in batch.resources("AWS::IAM::Policy")
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    actions = {
        action for s in statements for action in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])
    }
    assert not any("Delete" in action or action.endswith("*") for action in actions - {"logs:DeleteLogDelivery"})
    writing = json.dumps([s for s in statements if "s3:PutObject" in s["Action"]])
    assert "inbox" not in writing


def test_the_bucket_tells_of_uploads_and_forgets_parts(aws: Assembly) -> None:
    bucket = aws.part("*-data").properties("AWS::S3::Bucket")
    assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    jobs = [rule for rule in bucket["LifecycleConfiguration"]["Rules"] if rule.get("Prefix") == "jobs/"]
    assert [rule["ExpirationInDays"] for rule in jobs] == [14]
