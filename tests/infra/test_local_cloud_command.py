"""``python -m infra.local_cloud`` without a cloud: what it prints and how it exits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local_cloud.__main__ import main
from infra.local_cloud.cloud import DEFAULT_PORT, LocalCloud, Outputs
from infra.local_cloud.tools import ROOT


def run(directory: Path, *arguments: str) -> int:
    return main(["--directory", str(directory), *arguments])


@pytest.mark.parametrize("verb", ["up", "deploy", "down", "status", "env"])
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0
    assert verb in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["sideways"], ["deploy", "-c", "memory_mb"], ["--port", "x", "up"]])
def test_misuse_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_status_of_nothing_exits_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "status") == 3
    assert capsys.readouterr().out == "The local cloud does not run.\n"


def test_stopping_nothing_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "not-there", "down") == 0
    assert capsys.readouterr().out == "The local cloud did not run.\n"


def test_the_environment_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "env") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "error: The local cloud does not run: start it with python -m infra.local_cloud up.\n"


def test_deploying_without_node_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.local_cloud", "--directory", str(tmp_path), "deploy"]
    environment = {"PATH": str(tmp_path), "HOME": os.environ["HOME"]}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: Node is missing: install Node 20 or newer, the CDK runs on it.\n"


def test_no_trace_of_a_real_account_reaches_the_cdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "elsewhere")
    environment = LocalCloud(tmp_path)._cdk_env()
    assert "AWS_PROFILE" not in environment
    assert "AWS_SESSION_TOKEN" not in environment
    assert "AWS_ENDPOINT_URL_S3" not in environment
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert environment["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{DEFAULT_PORT}"


def test_functions_inherit_the_endpoint_and_nothing_personal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "secret")
    environment = LocalCloud(tmp_path, 4999)._server_env(tmp_path / "tmp")
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4999"
    assert environment["BIND_HOST"] == "127.0.0.1"
    assert "SOME_TOKEN" not in environment


def test_a_deployment_s_address_becomes_one_that_needs_no_dns(tmp_path: Path) -> None:
    url = LocalCloud(tmp_path, 4999)._local_url("https://abc123.execute-api.us-east-1.amazonaws.com/local")
    assert url == "http://127.0.0.1:4999/_aws/execute-api/abc123/local"


def test_outputs_are_what_the_demo_promises() -> None:
    promised = {"api_url", "api_key", "model", "model_bucket", "aws_endpoint_url"}
    assert promised <= set(Outputs.__dataclass_fields__)


def test_the_defaults_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert str(DEFAULT_PORT) in text
    assert ".local" in text
    assert json.dumps(sorted(Outputs.__dataclass_fields__))  # printable as JSON
