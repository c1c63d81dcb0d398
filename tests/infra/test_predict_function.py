import re
from pathlib import Path
from typing import Any

import pytest

from infra.predict_function import PREDICT, function_env
from infra.settings import Deployment
from slipway.settings import Settings
from slipway.settings.endpoint import EndpointSettings
from tests.infra.conftest import Assembly

ROOT = Path(__file__).resolve().parent.parent.parent
EXTRAS = {
    "POWERTOOLS_SERVICE_NAME": "tickets-prod",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@pytest.fixture
def aws(aws: Assembly) -> Assembly:
    return aws.part("*-api")


@pytest.fixture
def local(local: Assembly) -> Assembly:
    return local.part("*-api")


def template_env(assembly: Assembly) -> dict[str, str]:
    """The function's variables, with the buckets' cross-stack references replaced by names."""
    variables = assembly.properties("AWS::Lambda::Function")["Environment"]["Variables"]
    assert "Fn::ImportValue" in variables["SLIPWAY_MODEL_BUCKET"]
    assert "Fn::ImportValue" in variables["SLIPWAY_DATA_BUCKET"]
    return {**variables, "SLIPWAY_MODEL_BUCKET": "a-bucket", "SLIPWAY_DATA_BUCKET": "files"}


def statements(assembly: Assembly) -> list[dict[str, Any]]:
    return list(assembly.properties("AWS::IAM::Policy")["PolicyDocument"]["Statement"])


def actions(statement: dict[str, Any]) -> list[str]:
    listed = statement["Action"]
    return [listed] if isinstance(listed, str) else list(listed)


def test_the_environment_is_the_settings_and_the_named_extras(aws: Assembly) -> None:
    settings = Settings(model="tickets", model_bucket="a-bucket", data_bucket="files")
    assert template_env(aws) == {**settings.to_env(), **EXTRAS}
    deployment = Deployment(stage="prod", model="tickets")
    assert function_env(settings, deployment) == template_env(aws)


def test_the_function_reads_back_what_the_template_says(aws: Assembly) -> None:
    assert Settings.from_env(template_env(aws)) == Settings(
        model="tickets", model_bucket="a-bucket", data_bucket="files"
    )


def test_callers_use_a_published_snapshot(aws: Assembly) -> None:
    function = aws.properties("AWS::Lambda::Function")
    assert function["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    alias = aws.properties("AWS::Lambda::Alias")
    assert alias["Name"] == "live"
    assert "Version" in alias["FunctionVersion"]["Fn::GetAtt"]
    assert len(aws.resources("AWS::Lambda::Version")) == 1


def test_the_image_starts_the_handler_of_the_function_s_directory(aws: Assembly) -> None:
    function = aws.properties("AWS::Lambda::Function")
    assert function["PackageType"] == "Image"
    assert function["ImageConfig"] == {"Command": [PREDICT.handler]}
    assert (ROOT / PREDICT.handler.rpartition(".")[0].replace(".", "/")).with_suffix(".py").exists()


def test_the_function_is_traced_and_answers_before_the_gateway_gives_up(aws: Assembly) -> None:
    function = aws.properties("AWS::Lambda::Function")
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["Timeout"] <= 29
    assert function["MemorySize"] == 1769
    assert "ReservedConcurrentExecutions" not in function


def test_no_statement_has_a_wildcard_action_and_only_the_inbox_and_counts_are_written(aws: Assembly) -> None:
    granted = [action for statement in statements(aws) for action in actions(statement)]
    assert not [action for action in granted if "*" in action or "Delete" in action]
    writing = [s["Resource"]["Fn::Join"][1][-1] for s in statements(aws) if "s3:PutObject" in actions(s)]
    assert sorted(writing) == ["/bakes/tickets/*", "/inbox/tickets/*"]


def test_reading_ends_at_the_model_s_own_prefix(aws: Assembly) -> None:
    reading = [s["Resource"]["Fn::Join"][1][-1] for s in statements(aws) if "s3:GetObject" in actions(s)]
    assert reading == ["/models/tickets/*", "/jobs/tickets/*"]
    listing = [s["Condition"] for s in statements(aws) if actions(s) == ["s3:ListBucket"]]
    prefixes = ["models/tickets/*", ["jobs/tickets/*"]]
    assert listing == [{"StringLikeIfExists": {"s3:prefix": prefix}} for prefix in prefixes]


def test_only_tracing_is_granted_on_everything(aws: Assembly) -> None:
    everywhere = [s for s in statements(aws) if s["Resource"] == "*"]
    assert [actions(s) for s in everywhere] == [["xray:PutTelemetryRecords", "xray:PutTraceSegments"]]


def test_the_role_has_no_managed_policy(aws: Assembly) -> None:
    (role,) = [r for r in aws.resources("AWS::IAM::Role") if "lambda.amazonaws.com" in str(r)]
    assert "ManagedPolicyArns" not in role["Properties"]


def test_every_log_group_forgets(aws: Assembly, local: Assembly) -> None:
    kept = {group["Properties"]["RetentionInDays"] for group in aws.resources("AWS::Logs::LogGroup")}
    assert kept == {90}
    assert {group["DeletionPolicy"] for group in aws.resources("AWS::Logs::LogGroup")} == {"Retain"}
    assert {group["DeletionPolicy"] for group in local.resources("AWS::Logs::LogGroup")} == {"Delete"}


def test_no_variable_of_the_functions_is_read_elsewhere_by_another_name() -> None:
    client = ROOT / "layers/runtime/python/slipway/client"  # runs at a caller's, who sets variables of its own
    sources = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers").rglob("*.py")]
    sources = [path for path in sources if not path.is_relative_to(client)]
    named = {name for path in sources for name in re.findall(r"\bSLIPWAY_[A-Z_]+\b", path.read_text())}
    known = {**Settings(model="m", model_bucket="b").to_env(), **EndpointSettings().to_env()}
    assert named <= {*known, "SLIPWAY_", "SLIPWAY_STATE_MACHINE"}
