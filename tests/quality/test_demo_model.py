"""The demo model, built from real data by the real command: what the card promises, measured again. Minutes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.local_cloud.tools import ROOT
from slipway.artifact import Manifest, read_manifest, verify_files
from slipway.loading import load_predictor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def artifact() -> Path:
    """In the directory that ``make demo`` uses, so that only one of the two has to build it."""
    return Path(slipway("build", "--config", "configs/demo.toml")["artifact"])


@pytest.fixture(scope="module")
def manifest(artifact: Path) -> Manifest:
    return read_manifest(ROOT / artifact)


def slipway(*arguments: str) -> Any:
    """With every core, as a user has it: other tests may have one each meanwhile."""
    command = [sys.executable, "-m", "model_build", *arguments, "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return json.loads(subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE).stdout)


def test_it_is_right_on_82_percent_of_the_held_out_texts(manifest: Manifest) -> None:
    assert manifest.metrics["test"]["int8"]["accuracy"] >= 0.82
    assert manifest.baseline["texts"] == 852


def test_int8_is_within_half_a_point_of_fp32_on_both_classes_of_cpu(manifest: Manifest) -> None:
    drops = {gate["name"]: gate["value"] for gate in manifest.gates if "accuracy drop" in gate["name"]}
    assert set(drops) == {"int8 accuracy drop, native, points", "int8 accuracy drop, avx2, points"}
    assert max(drops.values()) <= 0.5


def test_every_gate_measured_and_passed(manifest: Manifest) -> None:
    assert len(manifest.gates) == 11
    assert all(gate["passed"] or gate["advisory"] for gate in manifest.gates)


def test_evaluate_measures_what_the_card_says(artifact: Path, manifest: Manifest) -> None:
    measured = slipway("evaluate", str(artifact), "--config", "configs/demo.toml", "--variant", "int8")
    assert measured["accuracy"] == manifest.metrics["test"]["int8"]["accuracy"]
    assert f"{measured['accuracy']:.4f}" in (ROOT / artifact / "card.md").read_text("utf-8")


def test_a_sentence_that_is_not_in_the_data_gets_its_label(artifact: Path) -> None:
    verify_files(ROOT / artifact, read_manifest(ROOT / artifact))
    predictor = load_predictor(ROOT / artifact)
    texts = ["A tender, beautifully acted film, full of warmth and quiet wit.", "Two dreary hours without one idea."]
    labels = [predictor.manifest.labels[answer.probabilities.argmax()] for answer in predictor.predict(texts)]
    assert labels == ["positive", "negative"]
