"""What the image installs is what pyproject.toml pins, complete, hashed, and there for both of Lambda's CPUs."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PREDICT = ROOT / "functions" / "predict"
TEXT = (PREDICT / "requirements.txt").read_text()
PINNED = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", TEXT, flags=re.MULTILINE))
EXCLUDED = set(re.findall(r"^([a-z0-9-]+)", (PREDICT / "excludes.txt").read_text(), flags=re.MULTILINE))
OFFLINE = {"huggingface-hub", "moto", "onnx", "torch", "transformers"}
# Lambda's Amazon Linux 2023 has glibc 2.34; pip takes a platform literally, so every older one is named.
PLATFORMS = [f"manylinux_2_{minor}_{{machine}}" for minor in range(17, 35)]


def test_direct_pins_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = dict(entry.split("==") for entry in project["dependencies"])
    assert {name: PINNED.get(name) for name in declared} == declared


def test_every_package_is_hashed() -> None:
    entries = [entry for entry in re.split(r"\n(?=[a-z])", TEXT) if "==" in entry.split()[0]]
    assert len(entries) == len(PINNED)
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_nothing_offline_is_installed() -> None:
    assert PINNED.keys() & (OFFLINE | EXCLUDED) == set()


@pytest.mark.parametrize("package", sorted(PINNED))
def test_declared_dependencies_are_pinned_or_excluded_on_purpose(package: str) -> None:
    """``--no-deps`` installs, so nobody else would notice. Read from the packages installed here."""
    for text in importlib.metadata.requires(package) or []:
        needed = Requirement(text)
        if needed.name.lower() in EXCLUDED or (needed.marker and not needed.marker.evaluate({"extra": ""})):
            continue
        version = PINNED[needed.name.lower().replace("_", "-")]
        assert needed.specifier.contains(version), f"{package} needs {needed}, {version} is pinned"


def test_index_of_this_machine_is_not_written_down() -> None:
    assert "://" not in TEXT


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_wheels_with_these_hashes_exist_for(machine: str, tmp_path: Path) -> None:
    """For arm64 this is the proof; for x86-64 the built image is another."""
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform.format(machine=machine))]
    target = ["--python-version", "3.13", "--implementation", "cp", "--abi", "cp313", "--abi", "abi3", "--abi", "none"]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--target", str(tmp_path)]
    hashed = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", "requirements.txt"]
    command += [*target, *platforms, *hashed]
    done = subprocess.run(command, check=False, cwd=PREDICT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
