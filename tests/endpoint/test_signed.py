"""The endpoint's container trusts keys: what SageMaker puts into its directory is signed, or it does not start."""

import shutil
from pathlib import Path

import pytest

from functions.endpoint.engine import open_engine
from functions.endpoint.server import serve
from model_build.signing import make_key
from slipway.artifact import MANIFEST
from slipway.errors import ArtifactError, SettingsError
from slipway.settings.endpoint import EndpointSettings
from slipway.signatures import SIGNATURE


def test_an_unsigned_directory_is_not_served_and_a_signed_one_is(
    tiny_artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = make_key(tmp_path / "key.pem")
    directory = Path(shutil.copytree(tiny_artifact, tmp_path / "model"))
    settings = EndpointSettings(model_directory=str(directory), trusted_keys=key.fingerprint, port=0, grpc_port=0)
    with pytest.raises(ArtifactError, match="is not signed"):
        open_engine(settings)
    assert serve(settings) == 1
    assert "is not signed" in capsys.readouterr().out
    (directory / SIGNATURE).write_bytes(key.manifest_signature((directory / MANIFEST).read_bytes()))
    assert open_engine(settings).backend.startswith("cpu-")
    (directory / MANIFEST).write_bytes((directory / MANIFEST).read_bytes() + b" ")
    with pytest.raises(ArtifactError, match="was changed"):
        open_engine(settings)
    with pytest.raises(SettingsError, match="'all' is no fingerprint"):
        open_engine(EndpointSettings(model_directory=str(directory), trusted_keys="all"))
