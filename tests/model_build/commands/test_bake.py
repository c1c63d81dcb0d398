"""``slipway promote --canary --bake``: what it starts and says, and what it refuses before anything has changed."""

import json
import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from slipway import workflows
from slipway.bakes.plan import Bake
from slipway.bakes.starting import parameter_name
from slipway.bakes.turn import BY, withdraw
from slipway.releases import Canary, Shadow
from slipway.store import Store
from tests.conftest import BUCKET
from tests.model_build.conftest import Run, assert_refused

IN_STORE = ["--bucket", BUCKET, "--model", "demo"]
ROLE = "arn:aws:iam::123456789012:role/bake"


@pytest.fixture
def first(store: Store, tiny_artifact: Any) -> str:
    """A version that is live."""
    version = store.publish(tiny_artifact)
    store.promote(version, by="ada", why="first")
    return version


@pytest.fixture
def second(store: Store, second_artifact: Any) -> str:
    """A version that is published."""
    return store.publish(second_artifact)


@pytest.fixture
def workflow(bucket: str) -> Iterator[str]:
    """As a deployment leaves it: a state machine, and the parameter that names it."""
    workflows._client.cache_clear()
    states = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}}
    made = boto3.client("stepfunctions").create_state_machine(name="bake", definition=json.dumps(states), roleArn=ROLE)
    arn = str(made["stateMachineArn"])
    boto3.client("ssm").put_parameter(Name=parameter_name(BUCKET, "demo"), Value=arn, Type="String")
    yield arn
    workflows._client.cache_clear()


def executions(workflow: str) -> list[dict[str, Any]]:
    client = boto3.client("stepfunctions")
    found = client.list_executions(stateMachineArn=workflow)["executions"]
    return [client.describe_execution(executionArn=execution["executionArn"]) for execution in found]


def test_the_canary_begins_and_its_workflow_with_it(
    store: Store, workflow: str, first: str, second: str, slipway: Run
) -> None:
    options = ["--canary", "5", "--bake", "10m", "--bounds", "disagreement=3", "--by", "ada", "--why", "new labels"]
    outcome = slipway("promote", second, *IN_STORE, *options)
    assert outcome.code == 0
    live = store.live()
    assert live
    assert (live.version, live.canary, live.by, live.why) == (first, Canary(second, 0.05), "ada", "new labels")
    (execution,) = executions(workflow)
    bake = Bake.from_dict(json.loads(execution["input"]))
    assert (bake.version, bake.live, bake.at) == (second, first, live.at)
    assert (bake.weight, bake.steps, bake.seconds, bake.patience) == (0.05, (0.25, 0.5), 600.0, 86_400.0)
    assert (bake.bounds.disagreement, bake.bounds.errors, bake.by) == (3.0, 1.0, "ada")
    assert "it bakes by itself: 5% → 25% → 50% → live, each step 600 s and until 100 requests" in outcome.out


def test_the_answer_as_json_has_the_pointer_and_the_bake(workflow: str, first: str, second: str, slipway: Run) -> None:
    outcome = slipway("promote", second, *IN_STORE, "--canary", "10", "--bake", "90s", "--steps", "10,100", "--json")
    assert outcome.document["canary"] == {"version": second, "weight": 0.1}
    assert (outcome.document["bake"]["seconds"], outcome.document["bake"]["steps"]) == (90.0, [])


def test_a_deployment_without_the_workflow_changes_nothing(
    store: Store, bucket: str, first: str, second: str, slipway: Run
) -> None:
    before = store.live()
    outcome = slipway("promote", second, *IN_STORE, "--canary", "5", "--bake", "10m")
    assert_refused(outcome, "Nothing bakes 'demo'", "cdk deploy --all", "leave --bake out")
    assert store.live() == before


def test_a_canary_that_nobody_would_watch_is_withdrawn_at_once(
    store: Store, workflow: str, first: str, second: str, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadowed = store.shadow(second, 0.5, by="ada", why="")
    boto3.client("stepfunctions").delete_state_machine(stateMachineArn=workflow)
    outcome = slipway("promote", second, *IN_STORE, "--canary", "5", "--bake", "10m", "--by", "ada")
    assert_refused(outcome, "could not be started")
    live = store.live()
    assert live
    assert (live.version, live.action, live.canary) == (first, "withdraw", None)
    assert live.why == "its bake could not be started"
    assert shadowed.shadow == Shadow(second, 0.5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--bake", "10m"], "--canary"),
        (["--canary", "5", "--bake", "ten"], "duration"),
        (["--canary", "5", "--bake", "13h"], "43200"),
        (["--canary", "5", "--bake", "0.5s"], "0.5"),
        (["--canary", "5", "--bake", "10m", "--patience", "3d"], "172800"),
        (["--canary", "5", "--bake", "10m", "--steps", "5,25"], "steps"),
        (["--canary", "5", "--bake", "10m", "--bounds", "errors=x"], "bound"),
        (["--canary", "5", "--bake", "10m", "--bounds", "slowdown=0"], "slowdown"),
        (["--canary", "100", "--bake", "10m"], "below"),
        (["--canary", "5", "--shadow", "--bake", "10m"], "exclude"),
    ],
)
def test_options_that_make_no_bake_are_misuse_and_change_nothing(
    store: Store, first: str, second: str, slipway: Run, options: list[str], said: str
) -> None:
    before = store.live()
    outcome = slipway("promote", second, *IN_STORE, *options)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.replace("│", " ").split())
    assert store.live() == before


def test_history_shows_the_steps_with_their_reasons(
    store: Store, workflow: str, first: str, second: str, slipway: Run
) -> None:
    slipway("promote", second, *IN_STORE, "--canary", "5", "--bake", "10m", "--by", "ada")
    live = store.live()
    assert live
    withdraw(store, live, by=BY, why=f"at 5 % {second}: 20 of 20 texts got another label")
    entry = slipway("history", *IN_STORE, "--json").document[0]
    assert (entry["action"], entry["by"]) == ("withdraw", "bake")
    assert "20 of 20 texts got another label" in entry["why"]


@pytest.mark.parametrize(("option", "value"), [("--steps", "5,25"), ("--bounds", "errors=1"), ("--patience", "1h")])
def test_an_option_of_a_bake_without_one_is_refused_before_everybody_gets_the_version(
    second: str, store: Store, slipway: Run, option: str, value: str
) -> None:
    outcome = slipway("promote", second, *IN_STORE, option, value)
    assert (outcome.code, store.live()) == (2, None)
    assert f"{option} belongs to --bake" in " ".join(outcome.err.split())


def test_without_a_region_it_is_one_line(
    first: str, second: str, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflows._client.cache_clear()
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    baked = ("promote", second, *IN_STORE, "--canary", 5, "--bake", "10m")
    assert_refused(slipway(*baked), "region", "AWS_REGION")


def test_the_region_that_cdk_goes_by_is_enough(
    first: str, second: str, workflow: str, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3 reads AWS_DEFAULT_REGION only."""
    monkeypatch.setenv("AWS_REGION", os.environ["AWS_DEFAULT_REGION"])
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    workflows._client.cache_clear()
    assert slipway("promote", second, *IN_STORE, "--canary", 5, "--bake", "10m").code == 0


def test_the_address_of_a_bucket_is_no_name(slipway: Run) -> None:
    outcome = slipway("history", "--bucket", f"s3://{BUCKET}", "--model", "demo")
    assert outcome.code == 2
    assert "without s3://" in " ".join(outcome.err.split())
