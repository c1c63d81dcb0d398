"""An artifact that a test may damage, and a way to seal it again so that only its content is wrong."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.artifact import MANIFEST, describe_file, read_manifest
from slipway.loading import load_predictor
from slipway.predictor import Predictor

SERVED = ("tokenizer.json", "vocab.txt", "model.int8.onnx", "model.int8.onnx.data")  # of an artifact, in int8


@pytest.fixture(scope="session")
def predictor(tiny_artifact: Path) -> Predictor:
    return load_predictor(tiny_artifact)


@pytest.fixture
def artifact(tiny_artifact: Path, tmp_path: Path) -> Path:
    """A copy of the first version, free to be damaged."""
    return Path(shutil.copytree(tiny_artifact, tmp_path / "artifact"))


@pytest.fixture
def reseal() -> Callable[..., Path]:
    """Give a changed directory a manifest with the right checksums, the fields in ``changes`` and a fitting version."""

    def sealed(directory: Path, **changes: Any) -> Path:
        manifest = read_manifest(directory)
        files = {name: describe_file(directory / name) for name in manifest.files if (directory / name).exists()}
        changed = dataclasses.replace(manifest, version="", files=files, **changes)
        (directory / MANIFEST).write_bytes(changed.to_json())
        return directory

    return sealed
