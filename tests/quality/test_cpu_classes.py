"""int8 on the classes of CPU that production may have, with the real emulators and a real arm64 system. Minutes.

The first run makes the root: python -m model_build.cpu_classes.root.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from model_build.cpu_classes.arm64 import guest_command, guest_environment
from model_build.cpu_classes.emulate import AVX2_CPU, EMULATORS, emulated_logits, require_emulators
from model_build.cpu_classes.root import make_root
from slipway.loading import load_predictor
from slipway.network import Network
from tests.conftest import tiny_rows

pytestmark = pytest.mark.slow

FEATURES = """
import json, platform
from numpy._core._multiarray_umath import __cpu_features__ as features
print(json.dumps({"machine": platform.machine(), **features}))
"""
TOLERANCE = 0.05  # gates.cpu_tolerance, of a probability; here of a logit


@pytest.fixture(scope="module")
def root() -> Path:
    """The arm64 system, made unless it is there. Never skipped: this is the only proof that it can be made."""
    return make_root()


@pytest.mark.parametrize("cpu_class", sorted(EMULATORS))
def test_int8_answers_there_as_here(cpu_class: str, root: Path, tiny_artifact: Path) -> None:
    require_emulators([cpu_class])
    texts = [row["text"] for row in tiny_rows(seed=5, count=12)]
    predictor = load_predictor(tiny_artifact, "int8")
    rows = [encoded.ids for encoded in predictor.encoder.encode(texts)]
    graph, pad_id = tiny_artifact / "model.int8.onnx", predictor.manifest.pad_id
    here = Network(graph, pad_id=pad_id).logits(rows)
    there = emulated_logits(graph, rows, pad_id=pad_id, cpu_class=cpu_class)
    assert there.shape == here.shape
    assert there.dtype == np.float32
    assert np.abs(here - there).max() < TOLERANCE
    assert (here.argmax(1) == there.argmax(1)).all()


def features(command: list[str], environment: dict[str, str] | None = None) -> dict[str, object]:
    done = subprocess.run([*command, "-c", FEATURES], capture_output=True, text=True, check=True, env=environment)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_emulated_avx2_cpu_has_nothing_beyond_it() -> None:
    found = features([EMULATORS["avx2"], "-cpu", AVX2_CPU, sys.executable])
    assert found["AVX2"]
    assert found["FMA3"]
    assert not any(present for name, present in found.items() if "AVX512" in name)


def test_the_emulated_arm64_cpu_has_dot_products_and_nothing_beyond(root: Path) -> None:
    found = features(guest_command(root), guest_environment(root))
    assert found["machine"] == "aarch64"
    assert found["ASIMDDP"]
    assert not found["SVE"]


def test_a_root_is_made_anew_from_the_machines_own_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = make_root()
    assert made.is_relative_to(tmp_path)
    size = sum(path.lstat().st_size for path in made.rglob("*") if not path.is_symlink())
    assert size < 300e6
    assert not list(made.parent.glob("partial-*"))
