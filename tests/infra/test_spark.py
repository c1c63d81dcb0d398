"""The stack of the Spark application: what it may use, what its jobs may touch, and the request that starts one."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import botocore.session
import pytest
from botocore.validate import validate_parameters
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

from infra import spark_stack
from infra.settings import Deployment
from infra.spark_stack import SparkStack
from infra.stacks import DataStack, StoreStack
from tests.infra.conftest import ROOT, Assembly, Json, cdk_context

# A context of the CDK's command line: no stack is to be deployed, so nothing is bundled.
UNBUNDLED: Json = {"aws:cdk:bundling-stacks": []}
ACCOUNT, REGION = "123456789012", "eu-central-1"
BUCKETS = {"slipway-prod-store": "models", "slipway-prod-data": "data"}


def synthesize(directory: Path, *, max_vcpus: int = 64, **arguments: Any) -> Assembly:
    app = cdk.App(context={**cdk_context(), **UNBUNDLED}, outdir=str(directory))
    deployment = Deployment(**{"stage": "prod", "model": "tickets", **arguments})
    store, data = StoreStack(app, deployment=deployment), DataStack(app, deployment=deployment)
    SparkStack(app, deployment=deployment, store=store.store, data=data.data, max_vcpus=max_vcpus)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
    app.synth()
    return Assembly(app=app, directory=directory, stacks="*-spark")


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return synthesize(tmp_path_factory.mktemp("cdk.out"))


NAMES = {"AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "AWS::Region": REGION}
ATTRIBUTES = {"ApplicationId": "00example", "Arn": f"arn:aws:iam::{ACCOUNT}:role/{{}}"}
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "Ref": lambda given: NAMES.get(given, given),
    "Fn::Join": lambda given: given[0].join(plain(given[1])),
    "Fn::Sub": lambda given: given.replace("${AWS::AccountId}", ACCOUNT).replace("${AWS::Region}", REGION),
    "Fn::GetAtt": lambda given: ATTRIBUTES[given[1]].format(given[0]),
    "Fn::ImportValue": lambda given: ("arn:aws:s3:::" if "FnGetAtt" in given else "") + BUCKETS[given.split(":")[0]],
}


def plain(value: Any) -> Any:
    """What CloudFormation would make of ``value``, with short names for what other resources and stacks are called."""
    if isinstance(value, list):
        return [plain(part) for part in value]
    if not isinstance(value, dict):
        return value
    (name, given) = next(iter(value.items()))
    return FUNCTIONS[name](given) if name in FUNCTIONS else {key: plain(part) for key, part in value.items()}


@pytest.fixture
def job(spark: Assembly) -> Json:
    """The request that the parameter holds."""
    loaded: Json = json.loads(plain(spark.properties("AWS::SSM::Parameter")["Value"]))
    return loaded


@pytest.fixture
def submit(job: Json) -> Json:
    found: Json = job["jobDriver"]["sparkSubmit"]
    return found


@pytest.fixture
def configured(submit: Json) -> dict[str, str]:
    """The properties that spark-submit is given."""
    words = submit["sparkSubmitParameters"].split()
    assert set(words[::2]) == {"--conf"}
    return dict(word.split("=", 1) for word in words[1::2])


def statements(assembly: Assembly) -> list[Json]:
    (policy,) = assembly.resources("AWS::IAM::Policy")
    return [plain(statement) for statement in policy["Properties"]["PolicyDocument"]["Statement"]]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allowed(assembly: Assembly, resource: str) -> set[str]:
    """The actions that the job's role may do on exactly ``resource``."""
    found = [s for s in statements(assembly) if resource in listed(s["Resource"])]
    return {action for statement in found for action in listed(statement["Action"])}


def test_the_application_costs_nothing_at_rest_and_has_a_ceiling(spark: Assembly) -> None:
    application = plain(spark.properties("AWS::EMRServerless::Application"))
    monitoring = application.pop("MonitoringConfiguration")
    assert application == {
        "Name": "slipway-prod-tickets",
        "Type": "SPARK",
        "ReleaseLabel": "emr-7.13.0",
        "Architecture": "X86_64",
        "AutoStartConfiguration": {"Enabled": True},
        "AutoStopConfiguration": {"Enabled": True, "IdleTimeoutMinutes": 15},
        "MaximumCapacity": {"Cpu": "64 vCPU", "Memory": "256 GB", "Disk": "640 GB"},
    }, "and neither initial capacity, which is billed while it waits, nor an image or a network of ours"
    resources = spark.template("slipway-prod-tickets-spark")["Resources"]
    (logs,) = [name for name, resource in resources.items() if resource["Type"] == "AWS::Logs::LogGroup"]
    assert monitoring == {
        "CloudWatchLoggingConfiguration": {"Enabled": True, "LogGroupName": logs},
        "ManagedPersistenceMonitoringConfiguration": {"Enabled": True},
    }


def test_logs_are_kept_as_the_deployment_says(spark: Assembly, tmp_path: Path) -> None:
    (kept,) = spark.resources("AWS::Logs::LogGroup")
    assert (kept["Properties"]["RetentionInDays"], kept["DeletionPolicy"]) == (30, "Retain")
    (forgotten,) = synthesize(tmp_path, retain=False, log_days=7).resources("AWS::Logs::LogGroup")
    assert (forgotten["Properties"]["RetentionInDays"], forgotten["DeletionPolicy"]) == (7, "Delete")


def test_the_longest_names_and_other_numbers_fit(tmp_path: Path) -> None:
    stage = "s" * 20
    assembly = synthesize(tmp_path, stage=stage, model="m" * 63, max_vcpus=6)
    application = assembly.properties("AWS::EMRServerless::Application")
    assert re.fullmatch(r"[A-Za-z0-9._/#-]{1,64}", application["Name"])
    assert application["MaximumCapacity"] == {"Cpu": "6 vCPU", "Memory": "24 GB", "Disk": "60 GB"}
    parts = assembly.properties("AWS::SSM::Parameter")["Value"]["Fn::Join"][1]
    sizes = [len(part) if isinstance(part, str) else 200 for part in parts]
    assert sum(sizes) < 4_096, "which is what a parameter holds at no charge"


def test_only_emr_serverless_takes_the_role(spark: Assembly) -> None:
    role = spark.properties("AWS::IAM::Role")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "emr-serverless.amazonaws.com"}
    assert "ManagedPolicyArns" not in role


def test_the_role_may_do_this_and_nothing_else(spark: Assembly, submit: Json, configured: dict[str, str]) -> None:
    code = [submit["entryPoint"], configured["spark.archives"].removesuffix("#environment")]
    reading, writing = {"s3:GetObject", "s3:GetObjectVersion"}, {"s3:PutObject", "s3:AbortMultipartUpload"}
    expected = {
        **{address.replace("s3://", "arn:aws:s3:::"): {"s3:GetObject"} for address in code},
        "arn:aws:s3:::models": {"s3:ListBucket"},
        "arn:aws:s3:::models/models/tickets/*": {"s3:GetObject"},
        "arn:aws:s3:::data": {"s3:ListBucket"},
        "arn:aws:s3:::data/inbox/tickets/*": reading,
        "arn:aws:s3:::data/bulk/tickets/*": reading,
        "arn:aws:s3:::data/outbox/tickets/*": {*reading, *writing, "s3:DeleteObject"},
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*": {"logs:DescribeLogGroups"},
    }
    (logs,) = {r for s in statements(spark) for r in listed(s["Resource"])} - expected.keys()
    expected[logs] = {"logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"}
    assert "Logs" in logs
    assert {resource: allowed(spark, resource) for resource in expected} == expected


def test_it_lists_only_what_is_this_model_s(spark: Assembly) -> None:
    listing = {s["Resource"]: s["Condition"] for s in statements(spark) if s["Action"] == "s3:ListBucket"}
    ours = ["inbox/tickets/*", "bulk/tickets/*", "outbox/tickets/*"]
    assert listing == {
        "arn:aws:s3:::models": {"StringLikeIfExists": {"s3:prefix": "models/tickets/*"}},
        "arn:aws:s3:::data": {"StringLikeIfExists": {"s3:prefix": ours}},
    }


def test_emr_takes_the_request_as_it_is(job: Json) -> None:
    """Held against AWS's own description of StartJobRun, but for the token that its command line adds."""
    model = botocore.session.get_session().get_service_model("emr-serverless")
    validate_parameters({**job, "clientToken": "0"}, model.operation_model("StartJobRun").input_shape)
    assert job["applicationId"] == "00example"
    assert job["executionRoleArn"].startswith(f"arn:aws:iam::{ACCOUNT}:role/SparkRole")
    assert 12 * 60 < job["executionTimeoutMinutes"] <= 7 * 24 * 60, "of which EMR takes no more"


def test_the_command_in_the_documents_fills_it_in(spark: Assembly, submit: Json) -> None:
    name = spark.properties("AWS::SSM::Parameter")["Name"]
    command = (ROOT / "docs/batch.md").read_text().partition("## Terabytes: Spark")[2]
    assert f"--name {name.replace('prod', '<stage>').replace('tickets', '<model>')} " in command
    assert " | sed s/FOLDER/" in command
    assert submit["entryPointArguments"].count("s3://data/outbox/tickets/FOLDER") == 1


def test_a_job_reads_where_no_upload_starts_the_batch_workflow(submit: Json, aws: Assembly) -> None:
    source, target, *options = submit["entryPointArguments"]
    assert (source, target) == ("s3://data/bulk/tickets/FOLDER", "s3://data/outbox/tickets/FOLDER")
    assert options == ["--bucket", "models", "--model", "tickets"]
    rules = [rule["Properties"] for rule in aws.resources("AWS::Events::Rule")]
    patterns = [rule["EventPattern"]["detail"] for rule in rules if "EventPattern" in rule]
    (started_by,) = [key["prefix"] for pattern in patterns for key in pattern.get("object", {}).get("key", [])]
    assert not source.removeprefix("s3://data/").startswith(started_by)


def test_driver_and_executors_find_the_packages_where_spark_unpacks_them(configured: dict[str, str]) -> None:
    archive, _, folder = configured["spark.archives"].partition("#")
    assert archive.endswith(".zip")
    for side in ("spark.emr-serverless.driverEnv", "spark.executorEnv"):
        assert configured[f"{side}.PYTHONPATH"] == f"./{folder}"
        assert configured[f"{side}.PYSPARK_PYTHON"] == "/usr/bin/python3.11"
        assert configured[f"{side}.AWS_DEFAULT_REGION"] == REGION
    assert configured["spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON"] == "/usr/bin/python3.11"


def worker(configured: dict[str, str], side: str) -> tuple[int, float]:
    """The vCPUs and gigabytes of a driver or an executor."""
    heap = int(configured[f"spark.{side}.memory"].removesuffix("g"))
    overhead = float(configured["spark.emr-serverless.memoryOverheadFactor"])
    return int(configured[f"spark.{side}.cores"]), heap * (1 + overhead)


@pytest.mark.parametrize(("side", "size", "most"), [("driver", 2, 16), ("executor", 4, 30)])
def test_workers_have_sizes_that_emr_offers(configured: dict[str, str], side: str, size: int, most: int) -> None:
    vcpus, memory = worker(configured, side)
    assert vcpus == size
    assert memory.is_integer()
    assert 2 * size <= memory <= most


def test_no_other_ceiling_is_met_before_that_of_vcpus(spark: Assembly, configured: dict[str, str]) -> None:
    capacity = spark.properties("AWS::EMRServerless::Application")["MaximumCapacity"]
    vcpus, memory, disk = (int(capacity[name].split()[0]) for name in ("Cpu", "Memory", "Disk"))
    (driver, driver_memory), (executor, executor_memory) = (worker(configured, side) for side in ("driver", "executor"))
    executors = (vcpus - driver) // executor
    assert driver_memory + executors * executor_memory <= memory
    assert 20 * (1 + executors) <= disk


def test_the_role_needs_no_glue(configured: dict[str, str], spark: Assembly) -> None:
    assert configured["spark.sql.catalogImplementation"] == "in-memory"
    assert "glue" not in json.dumps(statements(spark))


def test_the_entry_is_the_module_itself(spark: Assembly, submit: Json) -> None:
    name = submit["entryPoint"].rpartition("/")[2]
    source = ROOT / "layers/runtime/python/slipway/spark.py"
    assert (spark.directory / f"asset.{name}").read_bytes() == source.read_bytes()


def test_a_new_version_of_the_code_leaves_the_application_alone(spark: Assembly) -> None:
    """CloudFormation would have to stop it, with the jobs that run."""
    (application,) = spark.resources("AWS::EMRServerless::Application")
    assert "cdk-hnb659fds" not in json.dumps(application)


def test_cfn_lint_finds_nothing(spark: Assembly) -> None:
    template = str(spark.directory / "slipway-prod-tickets-spark.template.json")
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--", template]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_reasons_cdk_nag_refuses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_stack, "acknowledge_spark", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        synthesize(tmp_path)


def test_every_acknowledged_finding_has_a_reason(spark: Assembly) -> None:
    (stack,) = [node for node in spark.app.node.children if node.node.id.endswith("-spark")]
    kind = cdk.Validations.ACKNOWLEDGED_RULES_METADATA_KEY
    entries = [entry for node in stack.node.find_all() for entry in node.node.metadata if entry.type == kind]
    reasons = [reason for entry in entries for reason in entry.data.values()]
    assert len(reasons) == 5
    assert all(len(reason.split()) >= 8 for reason in reasons)
