"""What the image of the door installs: what is imported there and nothing else, pinned and hashed."""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
AUTHORIZE = ROOT / "functions/authorize"
TEXT = (AUTHORIZE / "requirements.txt").read_text()
PINNED = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", TEXT, flags=re.MULTILINE))
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(17, 35)]
_PROBE = """
import json, sys
import functions.authorize.handler
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_pins_are_those_of_pyproject_and_of_the_other_images() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert f"cryptography=={PINNED['cryptography']}" in extras["authorize"]
    assert f"urllib3=={PINNED['urllib3']} " in (ROOT / "functions/predict/requirements.txt").read_text()


def test_every_package_is_hashed_and_no_index_is_named() -> None:
    entries = [entry for entry in re.split(r"\n(?=[a-z])", TEXT) if "==" in entry.split()[0]]
    assert len(entries) == len(PINNED) == 4
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in TEXT


@pytest.mark.parametrize("package", sorted(PINNED))
def test_what_a_package_declares_is_pinned(package: str) -> None:
    for text in importlib.metadata.requires(package) or []:
        needed = Requirement(text)
        if needed.marker is None or needed.marker.evaluate({"extra": "", "python_full_version": "3.13.0"}):
            assert needed.specifier.contains(PINNED[needed.name.lower()])


def test_a_cold_start_imports_what_is_pinned_and_no_model() -> None:
    variables = {"SLIPWAY_JWT_ISSUER": "https://issuer.example", "SLIPWAY_JWT_AUDIENCE": "classifier"}
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'layers/runtime/python'}", **variables}
    command = [sys.executable, "-c", _PROBE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert {"cryptography", "urllib3", "slipway"} <= loaded
    assert not loaded & {"numpy", "onnxruntime", "tokenizers", "boto3", "botocore", "aws_lambda_powertools"}


@pytest.mark.slow
def test_wheels_with_these_hashes_exist_for_lambda(tmp_path: Path) -> None:
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    target = ["--python-version", "3.13", "--implementation", "cp", "--abi", "cp313", "--abi", "abi3", "--abi", "none"]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--target", str(tmp_path)]
    hashed = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", "requirements.txt"]
    command += [*target, *platforms, *hashed]
    done = subprocess.run(command, check=False, cwd=AUTHORIZE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
