"""The workflow, what starts it, and who may do what."""

import json
from typing import Any

import pytest

from tests.infra.conftest import Assembly, Json, Synthesize

ALARM = "AWS::CloudWatch::Alarm"
SOURCE = "AWS::Lambda::EventSourceMapping"
POLICY = "AWS::SQS::QueuePolicy"


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
        assert step["Retry"][-1]["ErrorEquals"] == ["States.ALL"]
        for retry in step["Retry"]:
            assert retry["JitterStrategy"] == "FULL"
            assert retry["BackoffRate"] > 1
        assert "Catch" not in step, "what is caught cannot be redriven"


def test_a_step_waits_for_an_hour_and_more_where_the_account_has_no_room_for_it(definition: Json) -> None:
    for step in [step for step in _steps(definition).values() if step["Type"] == "Task"]:
        no_room, failed = step["Retry"]
        assert "Lambda.TooManyRequestsException" in no_room["ErrorEquals"]
        assert all(error.startswith("Lambda.") for error in no_room["ErrorEquals"]), "the call itself, not our code"
        assert no_room["MaxDelaySeconds"] == 120
        assert (no_room["MaxAttempts"], failed["MaxAttempts"]) == (100, 6)
        delays = [min(no_room["IntervalSeconds"] * 2**attempt, 120) for attempt in range(100)]
        assert sum(delays) / 2 > 3_600, "full jitter waits half of it on average; a shard takes minutes"


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


@pytest.fixture(params=[{}, {"gpu": "scale-to-zero", "gpu_async": True}], ids=["CPU", "GPU"])
def with_events(request: pytest.FixtureRequest, synthesize: Synthesize) -> Assembly:
    """Each deployment whose functions have events of their own."""
    return synthesize(stage="prod", model="tickets", **request.param).part("*-batch")


def test_no_event_goes_to_a_function_past_a_queue(with_events: Assembly) -> None:
    """Lambda calls a function with what a rule brings twice more, within three minutes, and then forgets it."""
    queues = {json.dumps(s["Properties"]["EventSourceArn"]) for s in with_events.resources(SOURCE)}
    targets = [t for rule in with_events.resources("AWS::Events::Rule") for t in rule["Properties"]["Targets"]]
    assert sorted(json.dumps(target["Arn"]) for target in targets) == sorted(queues)


def test_an_event_comes_again_for_a_day_until_it_is_done_and_then_is_kept(with_events: Assembly) -> None:
    resources = with_events.template("slipway-prod-tickets-batch")["Resources"]
    for source in [source["Properties"] for source in with_events.resources(SOURCE)]:
        assert (source["BatchSize"], source["FunctionResponseTypes"]) == (1, ["ReportBatchItemFailures"])
        queue = resources[source["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
        step = resources[source["FunctionName"]["Ref"]]["Properties"]
        assert queue["VisibilityTimeout"] >= 6 * step["Timeout"], "as AWS asks of a queue before a function"
        assert queue["VisibilityTimeout"] < 3_600 / 3, "soon enough for a step that waits an hour for its answer"
        assert queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"] == 86_400
        kept = resources[queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]["Properties"]
        assert kept["MessageRetentionPeriod"] == 14 * 86_400


def test_an_event_that_does_not_reach_its_queue_is_kept_where_the_others_are(with_events: Assembly) -> None:
    (kept,) = {
        json.dumps(queue["Properties"]["RedrivePolicy"]["deadLetterTargetArn"])
        for queue in with_events.resources("AWS::SQS::Queue")
        if "RedrivePolicy" in queue["Properties"]
    }
    for rule in with_events.resources("AWS::Events::Rule"):
        (target,) = rule["Properties"]["Targets"]
        assert json.dumps(target["DeadLetterConfig"]["Arn"]) == kept
        assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}


def test_queues_take_from_rules_of_ours_and_nothing_that_is_not_encrypted_on_its_way(batch: Assembly) -> None:
    policies = [policy["Properties"]["PolicyDocument"]["Statement"] for policy in batch.resources(POLICY)]
    assert len(policies) == len(batch.resources("AWS::SQS::Queue"))
    for statements in policies:
        secure, *sending = statements
        assert (secure["Effect"], secure["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
        for statement in sending:
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            assert "On" in json.dumps(statement["Condition"]["ArnEquals"]["aws:SourceArn"])


def test_jobs_that_failed_or_were_stopped_or_timed_out_raise_an_alarm(batch: Assembly) -> None:
    (alarm,) = [a["Properties"] for a in batch.resources(ALARM) if "Metrics" in a["Properties"]]
    assert (alarm["Threshold"], alarm["TreatMissingData"]) == (1, "notBreaching")
    *counted, total = sorted(alarm["Metrics"], key=lambda metric: "Expression" in metric)
    names = {each["MetricStat"]["Metric"]["MetricName"] for each in counted}
    assert names == {"ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"}
    assert set(total["Expression"].split(" + ")) == {each["Id"] for each in counted}


def test_the_local_cloud_adds_no_metrics_up(local: Assembly) -> None:
    alarms = [alarm["Properties"] for alarm in local.part("*-batch").resources(ALARM)]
    assert {alarm["MetricName"] for alarm in alarms} == {"ExecutionsFailed", "ApproximateNumberOfMessagesVisible"}


def test_an_event_that_is_given_up_raises_an_alarm(batch: Assembly) -> None:
    (alarm,) = [a["Properties"] for a in batch.resources(ALARM) if "MetricName" in a["Properties"]]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == (
        "ApproximateNumberOfMessagesVisible", "Maximum", 1,
    )  # fmt: skip
    assert "Undelivered" in json.dumps(alarm["Dimensions"])


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
    harmless = {"logs:DeleteLogDelivery", "sqs:DeleteMessage"}  # the latter of what is done, in a queue of its own
    assert not any("Delete" in action or action.endswith("*") for action in actions - harmless)
    writing = json.dumps([s for s in statements if "s3:PutObject" in s["Action"]])
    assert "inbox" not in writing


def test_the_bucket_tells_of_uploads_and_forgets_parts(aws: Assembly) -> None:
    bucket = aws.part("*-data").properties("AWS::S3::Bucket")
    assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    jobs = [rule for rule in bucket["LifecycleConfiguration"]["Rules"] if rule.get("Prefix") == "jobs/"]
    assert [rule["ExpirationInDays"] for rule in jobs] == [14]
