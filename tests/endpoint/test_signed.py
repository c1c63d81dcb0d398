"""The endpoint's container trusts keys: what SageMaker puts into its directory is signed, or it does not start."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from functions.endpoint.engine import open_engine
from model_build.signing import make_key
from slipway.artifact import MANIFEST
from slipway.errors import ArtifactError, SettingsError
from slipway.settings.endpoint import EndpointSettings
from slipway.signatures import SIGNATURE

ROOT = Path(__file__).parents[2]


def test_an_unsigned_directory_is_not_served_and_a_signed_one_is(tiny_artifact: Path, tmp_path: Path) -> None:
    key = make_key(tmp_path / "key.pem")
    directory = Path(shutil.copytree(tiny_artifact, tmp_path / "model"))
    settings = EndpointSettings(model_directory=str(directory), trusted_keys=key.fingerprint, port=0, grpc_port=0)
    with pytest.raises(ArtifactError, match="is not signed"):
        open_engine(settings)
    # In a process of its own: tritonclient's messages, which other tests import, have the names of ours.
    command = [sys.executable, "-m", "functions.endpoint", "serve"]
    environment = {**os.environ, **settings.to_env()}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "is not signed" in ended.stdout
    (directory / SIGNATURE).write_bytes(key.manifest_signature((directory / MANIFEST).read_bytes()))
    assert open_engine(settings).backend.startswith("cpu-")
    (directory / MANIFEST).write_bytes((directory / MANIFEST).read_bytes() + b" ")
    with pytest.raises(ArtifactError, match="was changed"):
        open_engine(settings)
    with pytest.raises(SettingsError, match="'all' is no fingerprint"):
        open_engine(EndpointSettings(model_directory=str(directory), trusted_keys="all"))
