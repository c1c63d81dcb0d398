"""The folder of a process, and what the next one learns from it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from functions.predict.scratch import Scratch

_DIES = """
import os, sys
from pathlib import Path
from functions.predict.scratch import FATAL, Scratch
scratch = Scratch(Path(sys.argv[1]))
(scratch.folder / "demo").mkdir()
with scratch.at_risk("demo", "v1"):
    pass
with scratch.at_risk("demo", "v2", FATAL), scratch.at_risk("other", "v3"), scratch.at_risk("demo", "v2", FATAL):
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    """Where a process has been killed while it was about two versions."""
    assert subprocess.run([sys.executable, "-c", _DIES, str(tmp_path)], check=False).returncode == -9
    assert len([*tmp_path.iterdir()]) == 1
    return tmp_path


def test_what_a_dead_process_was_about_is_known_and_its_folder_is_gone(dead: Path) -> None:
    scratch = Scratch(dead)
    assert scratch.killers == {("demo", "v2")}
    assert [*dead.iterdir()] == [scratch.folder]


def test_what_may_have_been_lambda_s_own_end_of_a_slow_start_is_held_against_a_version_the_second_time(
    tmp_path: Path,
) -> None:
    assert not _after(tmp_path, "load").killers
    assert _after(tmp_path, "load", "load").killers == {("demo", "v1")}
    assert not _after(tmp_path, "load", "loaded", "load").killers


def _after(parent: Path, *lives: str) -> Scratch:
    """The process after these, each of which ended while it loaded a version, or else after it had."""
    script = """
import os, sys
from pathlib import Path
from functions.predict.scratch import Scratch
with Scratch(Path(sys.argv[1])).at_risk("demo", "v1"):
    if sys.argv[2] == "load":
        os.kill(os.getpid(), 9)
"""
    for life in lives:
        subprocess.run([sys.executable, "-c", script, str(parent), life], check=False)
    return Scratch(parent)


def test_it_is_known_once(dead: Path) -> None:
    assert Scratch(dead).killers
    assert not Scratch(dead).killers


def test_who_lives_is_left_alone(tmp_path: Path) -> None:
    living = Scratch(tmp_path)
    with living.at_risk("demo", "v1"):
        assert not Scratch(tmp_path).killers
    assert living.folder.exists()


def test_the_folder_of_a_process_that_has_just_begun_is_left_alone(tmp_path: Path) -> None:
    begun = tmp_path / "slipway-0123456789abcdef"
    begun.mkdir()
    assert not Scratch(tmp_path).killers
    assert begun.exists()


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    folder = Scratch(tmp_path).folder
    assert (folder.stat().st_mode & 0o777, (folder / "mark").stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\n\n", b"no version", b"demo v1 many", b"x" * 10_000])
def test_a_damaged_mark_is_no_error(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "slipway-dead"
    folder.mkdir()
    (folder / "mark").write_bytes(content)
    Scratch(tmp_path)
    assert not folder.exists()


def test_a_mark_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("demo v1")
    folder = tmp_path / "slipway-dead"
    folder.mkdir()
    (folder / "mark").symlink_to(tmp_path / "secret")
    assert not Scratch(tmp_path).killers


def test_a_full_disk_fails_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = Scratch(tmp_path)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with scratch.at_risk("demo", "v1"):
        pass
