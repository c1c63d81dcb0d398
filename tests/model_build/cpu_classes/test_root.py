"""Making the arm64 root: whole or not there, once, and every failure in one line. Debian and qemu are stand-ins here;
the real ones run in ``tests/quality/test_cpu_classes.py``.
"""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model_build.cpu_classes.arm64 import CPU_FILES, WHEELS, requirements, root_directory
from model_build.cpu_classes.root import make_root
from slipway.errors import BuildError

TOOLS = {
    "apt-get": "echo mirror://debian bookworm",
    "fakeroot": 'exec "$@"',
    "debootstrap": """
echo "$@" >> "$LOG"
for last; do target="$before"; before="$last"; done
mkdir -p "$target/var/cache/apt/archives"
touch "$target/var/cache/apt/archives/python3.11.deb" "$target/var/cache/apt/archives/libc6.deb"
""",
    "dpkg-deb": 'mkdir -p "$3/lib" "$3/usr/lib" "$3/usr/bin" "$3/usr/share/doc"; touch "$3/usr/bin/python3.11"',
    "qemu-aarch64": 'echo "$@" >> "$LOG"; echo aarch64',
}

Replace = Callable[[str, str], None]


@pytest.fixture
def replace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replace:
    """Stand-ins of all tools, an empty cache, and pip without a network; returns what replaces one of the tools."""
    programs, wheels = tmp_path / "bin", tmp_path / "wheels"
    programs.mkdir()
    wheels.mkdir()

    def write(name: str, script: str) -> None:
        (programs / name).write_text(f"#!/bin/sh\nLOG={tmp_path}/log\n{script}\n")
        (programs / name).chmod(0o755)

    for name, script in TOOLS.items():
        write(name, script)
    for requirement in requirements():
        write_wheel(wheels, *requirement.split("=="))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write


def write_wheel(directory: Path, name: str, version: str) -> None:
    tag = "cp311-cp311-manylinux_2_28_aarch64"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(directory / f"{name}-{version}-{tag}.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "")
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        wheel.writestr(f"{about}/RECORD", "")


def left_in_the_cache() -> list[str]:
    return sorted(path.name for path in root_directory().parent.iterdir())


def refused(*words: str) -> None:
    """One line with ``words``, and no root, nor a part of one."""
    with pytest.raises(BuildError) as error_info:
        make_root()
    assert "\n" not in str(error_info.value)
    for word in words:
        assert word in str(error_info.value)
    assert left_in_the_cache() == ["arm64.lock"]


def test_a_root_holds_python_its_wheels_and_the_description_of_a_cpu(replace: Replace) -> None:
    root = make_root()
    assert root == root_directory()
    assert sorted(path.name for path in root.iterdir()) == ["lib", "proc", "site", "sys", "usr"]
    assert (root / "usr/bin/python3.11").exists()
    assert not (root / "usr/share").exists()
    assert {path.name for path in (root / "site").iterdir()} >= set(WHEELS)
    assert {name: (root / name).read_text() for name in CPU_FILES} == CPU_FILES
    assert left_in_the_cache() == [root.name, "arm64.lock"]


def test_debian_comes_from_where_apt_takes_it_and_is_proven_before_it_counts(replace: Replace, tmp_path: Path) -> None:
    make_root()
    fetched, proven = (tmp_path / "log").read_text().splitlines()
    assert "--arch=arm64" in fetched
    assert fetched.endswith(" mirror://debian")
    assert "-cpu neoverse-n1 -L" in proven
    assert "import platform, numpy, onnxruntime, tokenizers" in proven
    assert str(root_directory()) not in proven  # it is renamed to there afterwards


def test_a_mirror_may_be_given(replace: Replace, tmp_path: Path) -> None:
    make_root("mirror://other")
    assert (tmp_path / "log").read_text().splitlines()[0].endswith(" mirror://other")


def test_it_is_made_once_by_how_many_ever(replace: Replace, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as threads:
        roots = list(threads.map(lambda _: make_root(), range(3)))
    assert set(roots) == {root_directory()}
    assert (tmp_path / "log").read_text().count("--arch=arm64") == 1


def test_what_a_killed_one_left_is_removed(replace: Replace) -> None:
    half = root_directory().parent / "partial-x/root/usr"
    half.mkdir(parents=True)
    make_root()
    assert left_in_the_cache() == [root_directory().name, "arm64.lock"]


@pytest.mark.parametrize(
    ("tool", "script", "words"),
    [
        ("apt-get", "exit 0", ("no archive of Debian", "apt-get update")),
        ("debootstrap", "echo 'E: Release signed by unknown key' >&2; exit 1", ("debootstrap", "unknown key")),
        ("debootstrap", "echo 'I: fetching'; kill -9 $$", ("debootstrap", "-9", "I: fetching")),
        ("dpkg-deb", "echo 'no space left on device' >&2; exit 2", ("dpkg-deb ended with 2", "no space left")),
        ("dpkg-deb", 'mkdir -p "$3/lib"', ("have no usr/lib",)),
        ("qemu-aarch64", "kill -11 $$", ("qemu-aarch64 ended with -11", "no output")),
        ("qemu-aarch64", "echo x86_64", ("says that it runs on 'x86_64'",)),
    ],
)
def test_a_step_that_fails_leaves_no_root(replace: Replace, tool: str, script: str, words: tuple[str, ...]) -> None:
    replace(tool, script)
    refused(*words)


def test_a_wheel_that_cannot_be_had_is_named(replace: Replace, tmp_path: Path) -> None:
    for wheel in (tmp_path / "wheels").glob("onnxruntime-*"):
        wheel.unlink()
    refused("onnxruntime")


def test_a_missing_tool_is_named_with_its_package(
    replace: Replace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin/qemu-aarch64").unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    refused("qemu-aarch64", "apt-get install qemu-user")


def test_a_cache_that_cannot_be_written_is_said(replace: Replace, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a directory belongs")
    with pytest.raises(BuildError, match="XDG_CACHE_HOME"):
        make_root()


def test_the_command_prints_where_the_root_is_and_refuses_in_one_line(
    replace: Replace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "model_build.cpu_classes.root"]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    assert made.stdout == f"{root_directory()}\n"
    replace("debootstrap", "exit 3")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
