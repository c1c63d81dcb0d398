"""What the arm64 guest is made of and told."""

import os
import re
from pathlib import Path

import pytest

from model_build.cpu_classes import arm64


def test_the_root_is_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert arm64.root_directory().parent == tmp_path / "slipway"
    monkeypatch.setenv("XDG_CACHE_HOME", "")  # the standard says: as if it were not set
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert arm64.root_directory().parent == tmp_path / "home/.cache/slipway"


def test_another_release_of_a_wheel_is_another_root(monkeypatch: pytest.MonkeyPatch) -> None:
    before = arm64.root_directory()
    assert arm64.root_directory() == before
    monkeypatch.setattr(arm64, "version", lambda name: "9.9")
    assert arm64.root_directory() != before


def test_the_wheels_are_those_that_answer_here() -> None:
    import numpy
    import onnxruntime
    import tokenizers

    versions = {module.__name__: module.__version__ for module in (numpy, onnxruntime, tokenizers)}
    assert arm64.requirements() == [f"{name}=={version}" for name, version in versions.items()]


def test_the_guest_finds_its_own_wheels_before_anything_of_the_host() -> None:
    root = Path("/somewhere")
    search = arm64.guest_environment(root)["PYTHONPATH"].split(os.pathsep)
    assert search[0] == "/somewhere/site"
    for package in ("slipway/predictor.py", "model_build/cpu_classes/emulated.py"):
        assert any((Path(place) / package).exists() for place in search[1:])


def test_nothing_of_the_hosts_environment_reaches_the_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONHOME", "OPENBLAS_CORETYPE"):
        monkeypatch.setenv(name, "/of/the/host")
    assert "/of/the/host" not in arm64.guest_environment(Path("/somewhere")).values()


def test_the_described_cpu_is_the_emulated_one() -> None:
    """Arm's numbers of a Neoverse N1; onnxruntime believes this file, and qemu computes."""
    described = arm64.CPU_FILES["proc/cpuinfo"]
    assert re.search(r"CPU implementer\s*: 0x41\n", described)
    assert re.search(r"CPU part\s*: 0xd0c\n", described)
    features = re.search(r"Features\s*: (.*)\n", described)
    assert features
    assert {"asimd", "asimddp", "asimdhp"} <= set(features[1].split())
    assert not {"sve", "i8mm", "bf16"} & set(features[1].split())
    assert "neoverse-n1" in arm64.guest_command(Path("/somewhere"))
