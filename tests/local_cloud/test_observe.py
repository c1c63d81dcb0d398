"""``slipway status`` and ``slipway tail`` over the local cloud, as a user types them: they say what was asked."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from infra.local_cloud import LocalCloud, Outputs
from infra.local_cloud.tools import ROOT
from tests.local_cloud.client import post, predict


def _slipway(cloud: LocalCloud, outputs: Outputs, *arguments: str) -> str:
    variables = {
        **os.environ,
        **cloud.client_env(),
        "SLIPWAY_STAGE": "local",
        "SLIPWAY_MODEL": outputs.model,
        "SLIPWAY_MODEL_BUCKET": outputs.model_bucket,
    }
    command = [sys.executable, "-m", "model_build", *arguments]
    return subprocess.run(command, cwd=ROOT, env=variables, check=True, capture_output=True, text=True).stdout


def _status(cloud: LocalCloud, outputs: Outputs, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_slipway(cloud, outputs, "status", "--json", *arguments))
    return found


def test_what_was_asked_is_in_status_and_in_tail(
    cloud: LocalCloud, outputs: Outputs, first: str, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert predict(outputs, "a good film").status == 200  # a cold start, if it is the first
    before = _status(cloud, outputs)
    assert predict(outputs, "good film", "awful plot", "dull film").status == 200
    url = f"{outputs.api_url}/v1/models/{outputs.model}:predict"
    assert post(url, b'{"instances": [5]}', key=outputs.api_key).status == 422
    after = _status(cloud, outputs, "--html", str(page))
    assert {name: after[name] - before[name] for name in ("requests", "texts", "refusals", "errors")} == {
        "requests": 2,
        "texts": 3,
        "refusals": 1,
        "errors": 0,
    }
    assert after["live"]["version"]
    assert sum(after["labels"].values()) == after["texts"]
    assert "<svg" in page.read_text()
    told = _slipway(cloud, outputs, "tail", "--no-follow", "--minutes", "10").splitlines()
    assert [word in told[-1] for word in ("refused", "status=422", "kind=InvalidRequest")] == [True] * 3
    assert "3 texts" in told[-2]
