"""The artifact directory: what design.md says is in it, whole, checked, and opened once before it is sealed."""

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_build.gates import Gate
from model_build.package import code_revision, describe_files, file_sizes, seal
from slipway.artifact import MODEL_NAME, VARIANTS, VERSION, Variant, describe_file, read_manifest, verify_files
from slipway.errors import ArtifactError
from slipway.loading import load_predictor
from slipway.predictor import Predictor
from tests.conftest import tiny_rows
from tests.model_build.conftest import Run

FILES = {"manifest.json", "tokenizer.json", "vocab.txt", "card.md"} | {
    f"model.{variant}.onnx{ending}" for variant in VARIANTS for ending in ("", ".data")
}


def fields(artifact: Path) -> dict[str, Any]:
    """What ``seal`` was given for ``artifact``."""
    manifest = read_manifest(artifact)
    derived = ("created", "files", "version", "schema_version")
    return {name: getattr(manifest, name) for name in asdict(manifest) if name not in derived}


@pytest.fixture
def draft(tiny_artifact: Path, tmp_path: Path) -> Path:
    """The artifact as it was before it was sealed."""
    copy = Path(shutil.copytree(tiny_artifact, tmp_path / "draft"))
    (copy / "manifest.json").unlink()
    return copy


def test_the_directory_holds_what_the_design_says(tiny_artifact: Path) -> None:
    found = {path.relative_to(tiny_artifact).as_posix() for path in tiny_artifact.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith("report/")} == FILES


def test_the_manifest_describes_every_other_file(tiny_artifact: Path) -> None:
    manifest = read_manifest(tiny_artifact)
    assert set(manifest.files) >= FILES - {"manifest.json"}
    for name, entry in manifest.files.items():
        assert describe_file(tiny_artifact / name) == entry
    verify_files(tiny_artifact, manifest)


def test_the_version_is_the_directory_the_time_and_the_digest(tiny_artifact: Path) -> None:
    manifest = read_manifest(tiny_artifact)
    assert tiny_artifact.name == manifest.version
    assert VERSION.fullmatch(manifest.version)
    assert MODEL_NAME.fullmatch(manifest.model)
    assert manifest.version.endswith(manifest.digest()[:12])
    assert manifest.version.startswith(re.sub(r"[-:]", "", manifest.created))


def test_two_builds_are_two_versions(tiny_artifact: Path, second_artifact: Path) -> None:
    one, other = read_manifest(tiny_artifact), read_manifest(second_artifact)
    assert one.version != other.version
    assert one.data_fingerprint == other.data_fingerprint
    assert one.build_fingerprint != other.build_fingerprint


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_replays_the_golden_examples_and_they_are_its_own(tiny_artifact: Path, variant: Variant) -> None:
    predictor = load_predictor(tiny_artifact, variant)
    for golden in predictor.manifest.golden:
        (answer,) = predictor.predict([golden.text])
        assert np.abs(answer.probabilities - golden.probabilities[variant]).max() < 1e-5
        assert sum(golden.probabilities[variant]) == pytest.approx(1, abs=1e-5)


def test_golden_examples_hold_the_cases_that_tokenizers_disagree_about(tiny_artifact: Path) -> None:
    manifest = read_manifest(tiny_artifact)
    texts = [golden.text for golden in manifest.golden]
    assert "" in texts
    assert any(len(golden.token_ids) == manifest.max_tokens for golden in manifest.golden)  # truncated
    assert any(not text.isascii() for text in texts)
    assert any("[SEP]" in text for text in texts)


def test_what_the_manifest_says_is_what_was_asked_for(tiny_artifact: Path) -> None:
    manifest = read_manifest(tiny_artifact)
    assert (manifest.task, manifest.labels) == ("single-label", ["negative", "positive"])
    assert (manifest.max_tokens, manifest.pad_id) == (32, 0)
    assert manifest.training["epochs"] == 4
    assert set(manifest.metrics) == {"dev", "test"}
    for by_variant in manifest.metrics.values():
        assert set(by_variant) == set(VARIANTS)
    assert manifest.metrics["test"]["int8"]["accuracy"] > 0.8
    assert all(Gate(**{k: v for k, v in gate.items() if k != "passed"}).passed for gate in manifest.gates)
    assert len(manifest.gates) == 8
    assert set(manifest.tolerances) == set(VARIANTS)


def test_the_baseline_is_sane_and_no_text_of_the_data_is_outside_the_golden_examples(tiny_artifact: Path) -> None:
    manifest = read_manifest(tiny_artifact)
    assert manifest.baseline["texts"] == 60
    assert sum(manifest.baseline["label_mix"].values()) == pytest.approx(1, abs=1e-5)
    assert set(manifest.baseline["label_mix"]) == set(manifest.labels)
    assert 0 <= manifest.baseline["unknown_token_rate"] <= 1
    assert manifest.baseline["token_deciles"] == sorted(manifest.baseline["token_deciles"])
    without_golden = json.dumps({k: v for k, v in asdict(manifest).items() if k != "golden"})
    texts = [row["text"] for row in tiny_rows()]
    assert not any(text in without_golden for text in texts)
    assert not any(text in (tiny_artifact / "card.md").read_text() for text in texts)


def test_sizes_are_those_of_the_files(tiny_artifact: Path) -> None:
    for variant, megabytes in file_sizes(tiny_artifact).items():
        files = [tiny_artifact / f"model.{variant}.onnx", tiny_artifact / f"model.{variant}.onnx.data"]
        assert megabytes == pytest.approx(sum(path.stat().st_size for path in files) / 1e6, abs=0.051)


def test_sealing_moves_the_whole_draft_to_its_version(draft: Path, tiny_artifact: Path, tmp_path: Path) -> None:
    finished = tmp_path / "finished"
    finished.mkdir()
    sealed = seal(draft, finished, **fields(tiny_artifact))
    assert sealed.parent == finished
    assert not draft.exists()
    assert isinstance(load_predictor(sealed), Predictor)
    assert sealed.name == read_manifest(sealed).version


@pytest.mark.parametrize("damage", ["golden", "graph", "tokenizer", "weights"])
def test_what_cannot_be_served_is_never_sealed(draft: Path, tiny_artifact: Path, tmp_path: Path, damage: str) -> None:
    given = fields(tiny_artifact)
    if damage == "golden":
        given["golden"][0].probabilities["fp16"].reverse()
        given["golden"][0].probabilities["fp16"][0] += 0.5
    elif damage == "weights":
        (draft / "model.fp32.onnx.data").write_bytes(b"")
    else:
        (draft / {"graph": "model.int8.onnx", "tokenizer": "tokenizer.json"}[damage]).write_bytes(b"broken")
    (tmp_path / "finished").mkdir()
    with pytest.raises(ArtifactError):
        seal(draft, tmp_path / "finished", **given)
    assert not list((tmp_path / "finished").iterdir())


def test_files_in_folders_are_described_by_their_relative_name(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "plot.svg").write_text("x")
    (tmp_path / "manifest.json").write_text("{}")
    assert set(describe_files(tmp_path)) == {"report/plot.svg"}


def test_the_code_revision_is_a_commit_or_unknown() -> None:
    assert re.fullmatch(r"[0-9a-f]{7,40}\+?|unknown|.*-g[0-9a-f]{12}\+?", code_revision())


def test_outside_of_git_the_revision_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_revision() == "unknown"


def test_the_stored_accuracy_is_what_evaluate_measures_again(
    tiny_artifact: Path, tiny_config: Path, slipway: Run
) -> None:
    manifest = read_manifest(tiny_artifact)
    for split in ("dev", "test"):
        for variant in VARIANTS:
            options = ["--config", tiny_config, "--split", split, "--variant", variant, "--json"]
            measured = slipway("evaluate", tiny_artifact, *options).document
            for name, value in manifest.metrics[split][variant].items():
                assert measured[name] == pytest.approx(value, abs=1e-4)
            assert measured["texts"] == 60
