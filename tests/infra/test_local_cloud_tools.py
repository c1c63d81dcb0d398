import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from infra.local_cloud import tools
from infra.local_cloud.errors import LocalCloudError

HOLD_LOCK = """
import pathlib, sys, time
from infra.local_cloud.tools import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory that is the whole PATH."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository that pins a CDK, of which nothing is installed."""
    (tmp_path / "package.json").write_text(json.dumps({"devDependencies": {"aws-cdk": "2.0.0"}}))
    return tmp_path


def test_no_node_is_said_with_the_remedy(path_of: Path) -> None:
    with pytest.raises(LocalCloudError, match="Node is missing: install Node 20 or newer"):
        tools.check_node()


@pytest.mark.parametrize("said", ["v18.20.4", "v9.1.0", "", "command not supported"])
def test_an_old_node_is_named(path_of: Path, said: str) -> None:
    executable(path_of / "node", f"echo {said}")
    with pytest.raises(LocalCloudError, match="too old: install Node 20 or newer"):
        tools.check_node()


@pytest.mark.parametrize("said", ["v20.0.0", "v24.11.1"])
def test_a_new_node_will_do(path_of: Path, said: str) -> None:
    executable(path_of / "node", f"echo {said}")
    tools.check_node()


def test_no_npm_is_said_with_the_remedy(path_of: Path, checkout: Path) -> None:
    executable(path_of / "node", "echo v22.0.0")
    with pytest.raises(LocalCloudError, match="npm is missing"):
        tools.cdk_command(checkout)


def test_a_failed_npm_says_its_first_complaint(path_of: Path, checkout: Path) -> None:
    executable(path_of / "node", "echo v22.0.0")
    executable(path_of / "npm", "echo hello; echo 'npm error code ENOTFOUND'; echo more; exit 7")
    with pytest.raises(LocalCloudError) as failed:
        tools.cdk_command(checkout)
    assert "could not be installed" in str(failed.value)
    assert str(failed.value).endswith("npm error code ENOTFOUND")
    assert "\n" not in str(failed.value)


def test_the_pinned_cdk_is_installed_once(path_of: Path, checkout: Path) -> None:
    executable(path_of / "node", "echo v22.0.0")
    package = checkout / "node_modules/aws-cdk/package.json"
    write = f"echo run >> {checkout}/runs; printf '%s' '{{\"version\": \"2.0.0\"}}' > {package}"
    executable(path_of / "npm", write)
    package.parent.mkdir(parents=True)
    package.write_text('{"version": "1.9.0"}')  # what an older checkout installed
    expected = str(checkout / "node_modules/.bin/cdk")
    assert [tools.cdk_command(checkout), tools.cdk_command(checkout)] == [expected, expected]
    assert (checkout / "runs").read_text().splitlines() == ["run"]


def test_the_repository_pins_the_cdk_exactly_and_names_no_registry() -> None:
    pinned = json.loads((tools.ROOT / "package.json").read_text())["devDependencies"]
    assert pinned == {"aws-cdk": "2.1148.1"}
    lock = json.loads((tools.ROOT / "package-lock.json").read_text())
    assert lock["packages"]["node_modules/aws-cdk"]["version"] == "2.1148.1"
    assert "resolved" not in lock["packages"]["node_modules/aws-cdk"]
    assert "://" not in (tools.ROOT / "package-lock.json").read_text()


def test_an_interrupted_installation_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leftover = tmp_path / "ministack-venv/half"
    leftover.parent.mkdir()
    leftover.touch()
    commands = record_installs(monkeypatch)
    python = tools.ministack_python(tmp_path)
    assert python == tmp_path / "ministack-venv/bin/python"
    assert not leftover.exists()
    assert [command[1:3] for command in commands] == [["-m", "venv"], ["-m", "pip"]]
    assert commands[1][-3:] == list(tools.MINISTACK)


def test_a_finished_installation_is_reused_until_the_versions_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = record_installs(monkeypatch)
    tools.ministack_python(tmp_path)
    tools.ministack_python(tmp_path)
    assert len(commands) == 2
    monkeypatch.setattr(tools, "MINISTACK", ("ministack==9",))
    tools.ministack_python(tmp_path)
    assert len(commands) == 4


def test_of_two_who_want_it_installed_one_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = record_installs(monkeypatch)
    threads = [threading.Thread(target=tools.ministack_python, args=(tmp_path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(commands) == 2


def test_the_lock_is_left_by_a_process_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD_LOCK, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tools.ROOT) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    with tools.locked(tmp_path / "lock"):
        pass


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        ("a\nERROR: no matching distribution\nb", "ERROR: no matching distribution"),
        ("a\nStack | CREATE_FAILED | AWS::S3::Bucket", "Stack | CREATE_FAILED | AWS::S3::Bucket"),
        ("a\n\n  last words \n\n", "last words"),
        ("", "it said nothing"),
        (
            "demo: Building Batch/Failed/Code\ndemo |   2 | CREATE_FAILED | Alarm not supported\nfailed",
            "demo |   2 | CREATE_FAILED | Alarm not supported",
        ),
    ],
)
def test_the_first_complaint_of_a_tool_is_found(output: str, complaint: str) -> None:
    assert tools.first_complaint(output) == complaint


def record_installs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Note what would be installed; make the directory that venv would make."""
    commands: list[list[str]] = []

    def install(command: list[str], *, what: str, cwd: Path | None = None) -> None:
        commands.append(command)
        if command[2] == "venv":
            Path(command[3]).mkdir()

    monkeypatch.setattr(tools, "install", install)
    return commands
