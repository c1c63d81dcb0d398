"""A CPU that is not here: which texts it gets, how it is started, and what is said when it cannot be or fails.

The emulators are shell scripts here; the real ones run in ``tests/quality/test_cpu_classes.py``.
"""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_build.cpu_classes.arm64 import root_directory
from model_build.cpu_classes.emulate import EMULATORS, emulated_logits, require_emulators, texts_to_emulate
from slipway.encoding import TokenIds
from slipway.errors import BuildError
from slipway.loading import load_predictor
from slipway.network import Network
from tests.conftest import tiny_rows
from tests.model_build.conftest import Run, assert_refused

MARGINS = st.lists(st.floats(0, 100, width=32), min_size=1, max_size=200).map(lambda m: np.array(m, np.float32))


@given(MARGINS, st.integers(1, 250))
def test_three_in_four_texts_are_the_nearest_to_tipping(margins: np.ndarray, count: int) -> None:
    chosen = texts_to_emulate(margins, count)
    assert len(chosen) == len(set(chosen.tolist())) == min(count, len(margins))
    assert chosen.tolist() == sorted(chosen)
    nearest = np.argsort(margins, kind="stable")[: len(chosen) * 3 // 4]
    assert set(nearest.tolist()) <= set(chosen.tolist())


@given(MARGINS)
def test_zero_is_all(margins: np.ndarray) -> None:
    assert texts_to_emulate(margins, 0).tolist() == list(range(len(margins)))


def test_the_others_are_drawn_from_a_seed() -> None:
    margins = np.arange(1_000, dtype=np.float32)
    first, again, other = (texts_to_emulate(margins, 100, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert first.max() > 200  # not the nearest alone


ROWS = [np.array([2, 7, 3], np.int32)]
GRAPH = Path("no.onnx")  # for runs that end before anybody opens it


def some_rows(artifact: Path) -> list[TokenIds]:
    texts = [row["text"] for row in tiny_rows(seed=5, count=5)]
    return [encoded.ids for encoded in load_predictor(artifact).encoder.encode(texts)]


def stand_in(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch, cpu_class: str = "avx2") -> None:
    """An emulator that is a shell script, before any other on the PATH; arm64 has a root, an empty one."""
    path = directory / EMULATORS[cpu_class]
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(directory))
    if cpu_class == "arm64":
        root_directory().mkdir(parents=True)


def test_the_whole_run_is_under_the_emulator_with_the_cpu_of_the_class(
    tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    stand_in(tmp_path, f'echo "$1 $2 core=$OPENBLAS_CORETYPE" > {seen}; shift 2; exec "$@"', monkeypatch)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "SkylakeX")
    rows = some_rows(tiny_artifact)
    logits = emulated_logits(tiny_artifact / "model.int8.onnx", rows, pad_id=0, cpu_class="avx2")
    assert seen.read_text() == "-cpu Haswell core=\n"
    assert np.abs(logits - Network(tiny_artifact / "model.int8.onnx", pad_id=0).logits(rows)).max() < 1e-6


def test_the_arm64_run_is_in_its_root_with_that_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = f"for last; do :; done; cp {tmp_path}/in.npy $last"
    stand_in(tmp_path, f'echo "$@" > {tmp_path}/seen; env > {tmp_path}/environment; {answer}', monkeypatch, "arm64")
    monkeypatch.setenv("LD_PRELOAD", "")
    np.save(tmp_path / "in.npy", np.array([[0.5, 1.5]], np.float32))
    logits = emulated_logits(GRAPH, ROWS, pad_id=0, cpu_class="arm64")
    root = root_directory()
    seen = (tmp_path / "seen").read_text()
    assert logits.tolist() == [[0.5, 1.5]]
    assert seen.startswith(
        f"-cpu neoverse-n1 -L {root} {root}/usr/bin/python3.11 -m model_build.cpu_classes.emulated {Path.cwd()}/no"
    )
    assert f"PYTHONPATH={root}/site" in (tmp_path / "environment").read_text()
    assert "LD_PRELOAD" not in (tmp_path / "environment").read_text()


@pytest.mark.parametrize("cpu_class", ["avx2", "arm64"])
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo first >&2; echo 'Illegal instruction' >&2; exit 132", "run ended with 132: Illegal instruction"),
        ("kill -9 $$", "run was killed by SIGKILL: no output"),
        ("echo 'uncaught target signal 11' >&2; kill -11 $$", "run was killed by SIGSEGV: uncaught target signal 11"),
        ("exit 0", "run ended without an answer"),
        ("exit 7", "run ended with 7: no output"),
    ],
)
def test_what_the_emulated_run_died_of_is_said_in_one_line(
    script: str, message: str, cpu_class: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, script, monkeypatch, cpu_class)
    with pytest.raises(BuildError, match=f"emulated {cpu_class} {message}") as error_info:
        emulated_logits(GRAPH, ROWS, pad_id=0, cpu_class=cpu_class)
    assert "\n" not in str(error_info.value)


def test_a_run_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600", monkeypatch)
    start = time.monotonic()
    with pytest.raises(BuildError, match=r"did not end in 1 s and was stopped\. Lower gates\.emulated_texts"):
        emulated_logits(GRAPH, ROWS, pad_id=0, cpu_class="avx2", seconds=1)
    assert time.monotonic() - start < 60
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_an_emulator_that_is_no_program_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, "", monkeypatch)
    (tmp_path / EMULATORS["avx2"]).write_bytes(b"\x7fELF of another machine")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="avx2 run could not be started: Exec format error"):
        emulated_logits(GRAPH, ROWS, pad_id=0, cpu_class="avx2")


@pytest.mark.parametrize("cpu_class", ["avx2", "arm64"])
def test_a_missing_emulator_names_the_package_and_the_way_round(
    cpu_class: str, tiny_config: Path, tmp_path: Path, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    override = f'gates.cpu_classes=["native", "{cpu_class}"]'
    outcome = slipway("build", "--config", tiny_config, "--out", tmp_path, "--set", override)
    assert_refused(outcome, EMULATORS[cpu_class], "apt-get install qemu-user", "gates.cpu_classes")
    assert not list(tmp_path.glob("demo/2*"))


def test_native_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    require_emulators(["native"])


def test_a_missing_arm64_root_names_the_command_that_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, "exit 0", monkeypatch, "arm64")
    require_emulators(["native", "arm64"])
    root_directory().rmdir()
    with pytest.raises(BuildError, match=r"python -m model_build\.cpu_classes\.root.*gates\.cpu_classes"):
        require_emulators(["native", "arm64"])


def test_avx2_cannot_be_emulated_with_the_python_of_another_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, "exit 0", monkeypatch)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(BuildError, match="this Python is for aarch64"):
        require_emulators(["avx2"])
