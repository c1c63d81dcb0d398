"""What ``cdk deploy`` makes of the app, asked over HTTP: keys, problems, the function's answer, a second deployment."""

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local_cloud import LocalCloud, Outputs
from infra.local_cloud.__main__ import main
from infra.local_cloud.ports import free_port
from infra.local_cloud.tools import ROOT
from tests.local_cloud.client import get


def test_the_outputs_file_is_what_the_deployment_gave(cloud: LocalCloud, outputs: Outputs) -> None:
    written = json.loads((cloud.directory / "outputs.json").read_text())
    assert written == vars(outputs)
    assert outputs.model == "demo"
    assert outputs.aws_endpoint_url == cloud.endpoint_url
    assert cloud.client("s3").head_bucket(Bucket=outputs.model_bucket)


@pytest.mark.parametrize("key", ["", "not-a-key"])
def test_without_a_key_nobody_is_answered(outputs: Outputs, key: str) -> None:
    answer = get(f"{outputs.api_url}/v2/health/live", key=key)
    assert answer.status == 403
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["title"]) == (403, "Forbidden")
    assert "x-api-key" in problem["remedy"]


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_the_pages_are_open(outputs: Outputs, path: str) -> None:
    assert get(f"{outputs.api_url}{path}").status == 200


@pytest.mark.parametrize("path", ["/info", "/v1/models/demo", "/v1/models/demo:predict", "/nowhere"])
def test_no_other_path_is_open(outputs: Outputs, path: str) -> None:
    assert get(f"{outputs.api_url}{path}").status == 403


def test_with_a_key_the_function_answers(outputs: Outputs) -> None:
    answer = get(f"{outputs.api_url}/v2/health/live", key=outputs.api_key)
    assert answer.status == 200, answer.body


def test_a_second_deployment_changes_nothing(cloud: LocalCloud, outputs: Outputs) -> None:
    functions = cloud.client("lambda")
    (function,) = [f for f in functions.list_functions()["Functions"] if "Serving" in f["FunctionName"]]
    before = functions.get_alias(FunctionName=function["FunctionName"], Name="live")["FunctionVersion"]
    assert cloud.deploy({"model": "demo"}) == outputs
    assert functions.get_alias(FunctionName=function["FunctionName"], Name="live")["FunctionVersion"] == before
    assert get(f"{outputs.api_url}/v2/health/live", key=outputs.api_key).status == 200


def test_an_unusable_argument_is_one_line_and_leaves_the_deployment_alone(
    cloud: LocalCloud, outputs: Outputs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--directory", str(cloud.directory), "deploy", "-c", "memory_mb=1"]) == 1
    error = capsys.readouterr().err
    assert "error: memory_mb=1 cannot be deployed: use a value from 512 to 10,240." in error
    assert error.count("\n") == 1
    assert cloud.outputs() == outputs


def test_the_shell_is_pointed_at_the_cloud(
    cloud: LocalCloud, outputs: Outputs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--directory", str(cloud.directory), "env"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"export AWS_ENDPOINT_URL={cloud.endpoint_url}" in lines
    assert f"export SLIPWAY_API_KEY={outputs.api_key}" in lines
    assert main(["--directory", str(cloud.directory), "status"]) == 0


def test_two_clouds_run_side_by_side_and_down_leaves_no_process(cloud: LocalCloud, tmp_path: Path) -> None:
    second = LocalCloud(tmp_path, free_port())
    assert command(second, "up") == 0
    start_function(second)
    wait_until(lambda: len(processes_of(second)) == 2)  # the server and its function
    assert command(second, "down") == 0
    wait_until(lambda: not processes_of(second))
    assert command(second, "status") == 3
    assert cloud.server.running()


def command(cloud: LocalCloud, verb: str) -> int:
    """The command line, as a process of its own: what it starts must outlive it."""
    options = ["--directory", str(cloud.directory), "--port", str(cloud.port)]
    return subprocess.run([sys.executable, "-m", "infra.local_cloud", *options, verb], cwd=ROOT, check=False).returncode


def start_function(cloud: LocalCloud) -> None:
    """Invoke a function that never gets ready, and don't wait for it."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("bootstrap", "#!/bin/sh\nexec sleep 60\n")
    functions = cloud.client("lambda")
    functions.create_function(
        FunctionName="sleeper",
        Runtime="provided.al2023",
        Role="arn:aws:iam::000000000000:role/nobody",
        Handler="none",
        Code={"ZipFile": code.getvalue()},
    )
    functions.invoke(FunctionName="sleeper", InvocationType="Event")


def wait_until(holds: Callable[[], bool], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes_of(cloud: LocalCloud) -> list[str]:
    """The processes whose environment names the cloud's directory: the server and the functions it started."""
    mark = os.fsencode(f"TMPDIR={cloud.directory}/")
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environment.read_bytes():
                found.append(environment.parent.name)
        except OSError:  # gone, or not ours
            continue
    return found
