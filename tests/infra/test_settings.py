import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.settings import STAGES, Deployment, DeploymentError

ROOT = Path(__file__).resolve().parent.parent.parent
CDK_OWN = {"aws:cdk:bundling-stacks": ["**"], "@aws-cdk/core:x": True, "cli-telemetry": False}


def test_without_context_the_defaults_hold() -> None:
    assert Deployment.from_context({}) == Deployment()


def test_the_cdk_s_own_context_is_left_alone() -> None:
    assert Deployment.from_context(CDK_OWN) == Deployment()


def test_command_line_strings_become_the_fields_types() -> None:
    given = {"memory_mb": "3538", "retain": "False", "requests_per_second": "2.5", "reserved_concurrency": "7"}
    assert Deployment.from_context(given) == Deployment(
        memory_mb=3538, retain=False, requests_per_second=2.5, reserved_concurrency=7
    )


def test_reserved_concurrency_can_be_taken_back() -> None:
    context = {STAGES: {"dev": {"reserved_concurrency": 5}}, "reserved_concurrency": "none"}
    assert Deployment.from_context(context).reserved_concurrency is None


def test_the_command_line_overrides_the_stage_which_overrides_the_defaults() -> None:
    context = {STAGES: {"qa": {"memory_mb": 1024, "burst": 7}}, "stage": "qa", "burst": "9"}
    assert Deployment.from_context(context) == Deployment(stage="qa", memory_mb=1024, burst=9)


def test_a_stage_without_a_row_takes_the_defaults() -> None:
    assert Deployment.from_context({STAGES: {"qa": {"burst": 7}}, "stage": "alice"}) == Deployment(stage="alice")


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_every_stage_of_cdk_json_can_be_read(stage: str) -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    assert Deployment.from_context({**context, "stage": stage}).stage == stage


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stage", "Prod"),
        ("stage", "prod-"),
        ("stage", "9"),
        ("stage", ""),
        ("model", "my model"),
        ("model", "a/b"),
        ("model", "-a"),
        ("model", "a" * 64),
        ("memory_mb", "128"),
        ("memory_mb", "10241"),
        ("memory_mb", "1 GB"),
        ("memory_mb", "1769.5"),
        ("local", "yes"),
        ("retain", ""),
        ("reserved_concurrency", "0"),
        ("requests_per_second", "-1"),
        ("requests_per_second", "nan"),
        ("burst", "5001"),
        ("daily_quota", "0"),
        ("log_days", "8"),
    ],
)
def test_an_unusable_value_is_named_with_its_remedy(name: str, value: str) -> None:
    with pytest.raises(DeploymentError) as refused:
        Deployment.from_context({name: value})
    message = str(refused.value)
    assert message.startswith(f"{name}=")
    assert value in message
    assert ": use " in message
    assert "\n" not in message


@pytest.mark.parametrize("context", [{"memroy_mb": "1024"}, {STAGES: {"dev": {"memroy_mb": 1024}}}])
def test_a_misspelt_argument_is_refused(context: dict[str, object]) -> None:
    with pytest.raises(DeploymentError, match=r"'memroy_mb' is no argument.*memory_mb"):
        Deployment.from_context(context)


def test_the_app_says_it_in_one_line_and_exits_1(tmp_path: Path) -> None:
    environment = {
        "CDK_CONTEXT_JSON": json.dumps({"memory_mb": "12"}),
        "CDK_OUTDIR": str(tmp_path),
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "-m", "infra.app"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: memory_mb=12 cannot be deployed: use a value from 512 to 10,240."
    assert "Traceback" not in done.stderr
