"""What openapi.json promises, the deployed API keeps: Schemathesis with all of its checks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local_cloud import Outputs
from tests.local_cloud.client import get

HERE = Path(__file__).parent


@pytest.mark.slow
def test_no_request_gets_an_answer_that_the_description_does_not_allow(
    outputs: Outputs, first: str, tmp_path: Path
) -> None:
    description = tmp_path / "openapi.json"
    description.write_bytes(get(f"{outputs.api_url}/openapi.json").body)
    config = str(HERE / "schemathesis.toml")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", config, "run", str(description)]
    command += ["--url", outputs.api_url, "--header", f"x-api-key: {outputs.api_key}", "--request-timeout", "30"]
    command += ["--checks", "all", "--max-examples", "20", "--seed", "13", "--suppress-health-check", "all"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.local_cloud.contract_hooks", "CONTRACT_VERSION": first}
    run = subprocess.run(command, cwd=HERE.parents[1], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
