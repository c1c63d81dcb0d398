"""What the endpoint's image installs is what pyproject.toml pins, complete and hashed."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ENDPOINT = ROOT / "functions/endpoint"
TEXTS = {path.name: path.read_text() for path in ENDPOINT.glob("requirements*.txt")}
PINNED = {name: dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE)) for name, text in TEXTS.items()}
SERVER = PINNED["requirements.txt"]
EXCLUDED = set(re.findall(r"^([a-z0-9-]+)", (ENDPOINT / "excludes.txt").read_text(), re.MULTILINE))


def test_pins_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = dict(
        entry.split("==") for entry in project["dependencies"] + project["optional-dependencies"]["endpoint"]
    )
    assert {name: version for name, version in declared.items() if SERVER.get(name) != version}.keys() <= EXCLUDED
    runtime = declared["onnxruntime"]
    assert PINNED["requirements-cpu.txt"] == {"onnxruntime": runtime}
    assert PINNED["requirements-gpu.txt"]["onnxruntime-gpu"] == runtime  # one core: the same release on both


@pytest.mark.parametrize("package", sorted(SERVER))
def test_what_a_package_declares_is_pinned_or_excluded_on_purpose(package: str) -> None:
    for text in importlib.metadata.requires(package) or []:
        needed = Requirement(text)
        if needed.name.lower() in EXCLUDED or (needed.marker and not needed.marker.evaluate({"extra": ""})):
            continue
        version = SERVER[needed.name.lower().replace("_", "-")]
        assert needed.specifier.contains(version), f"{package} needs {needed}, {version} is pinned"


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_every_package_is_hashed_and_no_index_named(name: str) -> None:
    entries = [entry for entry in re.split(r"\n(?=[a-z])", TEXTS[name]) if "==" in entry.split()[0]]
    assert len(entries) == len(PINNED[name])
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in TEXTS[name]


def test_the_image_excludes_nothing_that_is_not_there_for_a_reason() -> None:
    assert not EXCLUDED & SERVER.keys()
    lines = (ENDPOINT / "excludes.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#") and "  # " not in line] == []
