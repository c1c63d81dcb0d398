"""Starts that must not come up, and why they say they don't."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.artifact import model_file, read_manifest
from tests.endpoint.process import PATIENCE, endpoint, ready


def test_a_damaged_artifact_ends_the_process_with_the_files_name(tiny_artifact: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_artifact, tmp_path / "model"))
    name = model_file(read_manifest(copy).serve)
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with endpoint(copy, tmp_path) as running:
        assert running.process.wait(PATIENCE) == 1
        (line,) = [line for line in running.lines() if line["message"] == "the model cannot be served"]
        assert f"{name} of demo" in line["reason"]


def test_a_gpu_that_is_demanded_and_not_there_ends_the_process(tiny_artifact: Path, tmp_path: Path) -> None:
    with endpoint(tiny_artifact, tmp_path, device="gpu") as running:
        assert running.process.wait(PATIENCE) == 1
        assert "CUDAExecutionProvider" in running.log.read_text()


def test_without_a_gpu_auto_is_the_cpu_and_says_so(tiny_artifact: Path, tmp_path: Path) -> None:
    with endpoint(tiny_artifact, tmp_path, device="auto") as running:
        assert ready(running).invoke({"instances": ["good"]}).document["backend"].startswith("cpu-")
        assert "no GPU" in {line["message"] for line in running.lines()}


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["train"], {}, "invalid choice: 'train'"),
        (["serve"], {"SLIPWAY_PORT": "http"}, "SLIPWAY_PORT='http'"),
        (["serve"], {"SLIPWAY_DRAIN_SECONDS": "45"}, "SageMaker kills 30 s after SIGTERM"),
    ],
)
def test_what_it_is_started_with_is_checked(arguments: list[str], variables: dict[str, str], words: str) -> None:
    command = [sys.executable, "-m", "functions.endpoint", *arguments]
    done = subprocess.run(command, check=False, env=variables, capture_output=True, text=True)
    assert done.returncode == 2
    assert words in done.stderr
