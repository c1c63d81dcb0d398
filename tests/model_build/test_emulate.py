"""A CPU that is not here: which texts it gets, that it really is another one, and what happens without it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_build.emulate import _CPUS, EMULATOR, emulated_logits, texts_to_emulate
from slipway.encoding import TokenIds
from slipway.errors import BuildError
from slipway.predictor import Network, load_predictor
from tests.conftest import tiny_rows
from tests.model_build.conftest import Run, assert_refused

needs_emulator = pytest.mark.skipif(shutil.which(EMULATOR) is None, reason="apt-get install qemu-user")

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


def some_rows(artifact: Path) -> list[TokenIds]:
    texts = [row["text"] for row in tiny_rows(seed=5, count=5)]
    return [encoded.ids for encoded in load_predictor(artifact).encoder.encode(texts)]


@needs_emulator
def test_the_emulated_answers_are_those_of_here_within_the_tolerance(tiny_artifact: Path) -> None:
    rows = some_rows(tiny_artifact)
    here = Network(tiny_artifact / "model.int8.onnx", pad_id=0).logits(rows)
    there = emulated_logits(tiny_artifact / "model.int8.onnx", rows, pad_id=0, cpu_class="avx2")
    assert there.shape == here.shape
    assert there.dtype == np.float32
    assert np.abs(here - there).max() < 0.05
    assert (here.argmax(1) == there.argmax(1)).all()


@needs_emulator
def test_the_emulated_cpu_has_avx2_and_nothing_beyond() -> None:
    script = "from numpy._core._multiarray_umath import __cpu_features__ as f; import json; print(json.dumps(f))"
    command = [EMULATOR, "-cpu", _CPUS["avx2"], sys.executable, "-c", script]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    features = json.loads(run.stdout)
    assert features["AVX2"]
    assert features["FMA3"]
    assert not any(present for name, present in features.items() if "AVX512" in name)


def stand_in(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator that is a shell script, before any other on the PATH."""
    path = directory / EMULATOR
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")


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


def test_what_the_emulated_run_died_of_is_said_in_one_line(
    tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, "echo first >&2; echo 'Illegal instruction' >&2; exit 132", monkeypatch)
    with pytest.raises(BuildError, match="avx2 run ended with 132: Illegal instruction") as error_info:
        emulated_logits(tiny_artifact / "model.int8.onnx", some_rows(tiny_artifact), pad_id=0, cpu_class="avx2")
    assert "\n" not in str(error_info.value)


def test_a_missing_emulator_names_the_package_and_the_way_round(
    tiny_config: Path, tmp_path: Path, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    override = 'gates.cpu_classes=["native", "avx2"]'
    outcome = slipway("build", "--config", tiny_config, "--out", tmp_path, "--set", override)
    assert_refused(outcome, EMULATOR, "apt-get install qemu-user", "gates.cpu_classes")
    assert not list(tmp_path.glob("demo/2*"))
