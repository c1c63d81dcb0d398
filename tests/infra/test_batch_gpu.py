"""Large jobs: the workflow asks the asynchronous endpoint, and functions score what it does not answer."""

import json
from typing import Any

import pytest

from infra.settings import Deployment, DeploymentError
from slipway.batch.costs import least_texts_for_gpu
from slipway.prices import read_prices
from slipway.settings.batch import BatchSettings
from tests.infra.conftest import Assembly, Json, Synthesize

GPU = {"stage": "prod", "model": "tickets", "gpu": "scale-to-zero", "gpu_async": True}


@pytest.fixture
def assembly(synthesize: Synthesize) -> Assembly:
    return synthesize(**GPU)


@pytest.fixture
def batch(assembly: Assembly) -> Assembly:
    return assembly.part("*-batch")


def steps_of(batch: Assembly) -> Json:
    parts = batch.properties("AWS::StepFunctions::StateMachine")["DefinitionString"]["Fn::Join"][1]
    definition = json.loads("".join(part if isinstance(part, str) else "reference" for part in parts))
    shards = definition["States"]["Score the shards"]
    steps: Json = {**shards["ItemProcessor"]["States"], "start": shards["ItemProcessor"]["StartAt"], "map": shards}
    return steps


@pytest.fixture
def steps(batch: Assembly) -> Json:
    return steps_of(batch)


def statements(batch: Assembly, construct: str) -> list[dict[str, Any]]:
    found = [
        statement
        for policy in batch.resources("AWS::IAM::Policy")
        if construct in json.dumps(policy["Properties"]["Roles"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    assert found
    return found


def test_a_large_job_s_shards_are_asked_about_and_a_small_one_s_are_scored(steps: Json) -> None:
    assert steps["start"] == "Is the job large?"
    (large,) = steps["Is the job large?"]["Choices"]
    assert (large["Variable"], large["NumericGreaterThanEquals"]) == ("$.rows", 3_000_000)
    assert large["Next"] == "Ask the endpoint"
    assert steps["Is the job large?"]["Default"] == "Score a shard"
    assert steps["map"]["ItemSelector"]["rows.$"] == "$.rows"


def test_a_step_waits_for_its_token_and_not_in_a_function_and_no_longer_than_the_question_lives(steps: Json) -> None:
    ask = steps["Ask the endpoint"]
    assert ask["Resource"].endswith("lambda:invoke.waitForTaskToken")
    assert ask["Parameters"]["Payload"] == {
        "folder.$": "$.folder", "shard.$": "$.shard", "token.$": "$$.Task.Token",
    }  # fmt: skip
    assert ask["TimeoutSeconds"] == BatchSettings(model="", model_bucket="", data_bucket="").gpu_wait_seconds


def test_whatever_goes_wrong_leads_to_functions(steps: Json) -> None:
    ask = steps["Ask the endpoint"]
    (caught,) = ask["Catch"]
    assert (caught["ErrorEquals"], caught["Next"]) == (["States.ALL"], "Score a shard")
    assert caught["ResultPath"] == "$.unanswered", "the shard is still there to be scored"
    assert ask["Next"] == "Is it done?"
    assert steps["Is it done?"]["Default"] == "Score a shard"
    (retry,) = ask["Retry"]
    assert all(error.startswith("Lambda.") for error in retry["ErrorEquals"]), "a timeout is not waited for again"


def test_answers_and_reasons_for_none_are_collected_and_nothing_else_is(batch: Assembly) -> None:
    rules = [rule["Properties"] for rule in batch.resources("AWS::Events::Rule")]
    (rule,) = [rule for rule in rules if "async" in json.dumps(rule["EventPattern"])]
    assert rule["EventPattern"]["detail"]["object"]["key"] == [
        {"prefix": "async/tickets/out/"}, {"prefix": "async/tickets/failed/"},
    ]  # fmt: skip
    (target,) = rule["Targets"]
    (source,) = [
        source["Properties"]
        for source in batch.resources("AWS::Lambda::EventSourceMapping")
        if source["Properties"]["EventSourceArn"] == target["Arn"]
    ]
    assert "Collect" in json.dumps(source["FunctionName"])
    assert target["DeadLetterConfig"]


def test_only_ask_may_call_the_endpoint_and_that_one_alone(batch: Assembly) -> None:
    calling = [
        (json.dumps(policy["Properties"]["Roles"]), statement)
        for policy in batch.resources("AWS::IAM::Policy")
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "sagemaker" in json.dumps(statement["Action"])
    ]
    ((roles, statement),) = calling
    assert "GpuAsk" in roles
    assert statement["Action"] == "sagemaker:InvokeEndpointAsync"
    assert statement["Resource"]["Fn::Join"][1][-1] == ":endpoint/slipway-prod-tickets-gpu-async"


@pytest.mark.parametrize(("construct", "asks"), [("GpuAsk", True), ("GpuCollect", False)])
def test_both_write_results_only_and_neither_reads_a_model_or_writes_an_answer(
    batch: Assembly, construct: str, asks: bool
) -> None:
    found = statements(batch, construct)
    writing = json.dumps([each for each in found if "s3:PutObject" in each["Action"]])
    assert ("/async/tickets/in/*" in writing) == asks
    for folder in ("/jobs/tickets/*", "/outbox/tickets/*"):
        assert folder in writing
    for folder in ("inbox", "/out/", "/failed/"):
        assert folder not in writing
    assert "models/" not in json.dumps(found)
    (going_on,) = [each for each in found if "states:" in json.dumps(each["Action"])]
    assert going_on["Action"] == "states:SendTaskSuccess"
    assert set(going_on["Resource"]) == {"Ref"}


def test_questions_and_answers_expire(assembly: Assembly) -> None:
    rules = assembly.part("*-data").properties("AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    assert [rule["ExpirationInDays"] for rule in rules if rule.get("Prefix") == "async/"] == [14]


@pytest.mark.parametrize(
    "arguments",
    [{"gpu": "off"}, {"gpu_async": False}, {"local": True, "gpu_async": True}],
    ids=["no GPU", "not asked for", "local"],
)
def test_without_the_endpoint_there_is_nothing_of_it(arguments: dict[str, Any]) -> None:
    assert not Deployment(**{**GPU, **arguments}).batches_on_gpu


def test_without_the_endpoint_the_workflow_is_as_it_was(aws: Assembly) -> None:
    batch = aws.part("*-batch")
    assert "Gpu" not in json.dumps([*batch.resources("AWS::Lambda::Function"), *batch.resources("AWS::IAM::Role")])
    steps = steps_of(batch)
    assert steps["start"] == "Score a shard"
    assert set(steps["map"]["ItemSelector"]) == {"folder.$", "shard.$"}


def test_in_the_local_cloud_a_process_stands_for_the_endpoint(synthesize: Synthesize) -> None:
    local = synthesize(stage="local", gpu_async=True, gpu_local="http://127.0.0.1:9", gpu_batch_texts=300)
    batch = local.part("*-batch")
    functions = [resource["Properties"] for resource in batch.resources("AWS::Lambda::Function")]
    (ask,) = [each for each in functions if each["Handler"] == "functions.batch.ask.handler"]
    assert ask["Environment"]["Variables"]["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] == "http://127.0.0.1:9"
    assert steps_of(batch)["Is the job large?"]["Choices"][0]["NumericGreaterThanEquals"] == 300


def test_a_threshold_below_one_is_refused() -> None:
    with pytest.raises(DeploymentError, match="gpu_batch_texts=0"):
        Deployment(gpu_batch_texts=0)


def test_the_default_threshold_is_what_the_assumptions_in_the_documents_give() -> None:
    """docs/batch.md: 6.25 ms of one vCPU a text of 32 tokens, two vCPUs 1.6 times as fast; 4,000 texts/s on the GPU."""
    least = least_texts_for_gpu(
        6.25 / 1.6,
        Deployment.batch_memory_mb,
        instance_hour=read_prices().instance_hour(Deployment.gpu_instance),
        texts_per_second=4_000,
        idle_seconds=9 * 60 + 15 * 60,
    )
    assert least == pytest.approx(Deployment.gpu_batch_texts, rel=0.05)
