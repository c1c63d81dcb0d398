"""A second build finds the artifact of the first, and never a stale one."""

import os
import shutil
from pathlib import Path

import pytest

from model_build.config import read_config
from model_build.fingerprint import build_fingerprint, find_built
from slipway.artifact import read_manifest
from slipway.errors import BuildError
from tests.conftest import tiny_rows, write_tiny_config


@pytest.fixture
def config(tiny_base: Path, tmp_path: Path) -> Path:
    """A configuration whose data and base a test may change."""
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    return write_tiny_config(tmp_path, base, tiny_rows(count=40))


def fingerprint(config: Path, *overrides: str) -> str:
    return build_fingerprint(read_config(config, overrides))


def test_nothing_changed_is_the_same(config: Path) -> None:
    before = fingerprint(config)
    os.utime(config.parent / "rows.jsonl", (1, 1))
    config.write_text("# a comment\n" + config.read_text())
    assert fingerprint(config) == before


@pytest.mark.parametrize(
    "override", ["train.seed=1", "data.dev=0.2", "network.max_tokens=16", "model=other", "gates.agreement=0.5"]
)
def test_every_setting_counts(config: Path, override: str) -> None:
    assert fingerprint(config, override) != fingerprint(config)


@pytest.mark.parametrize("name", ["rows.jsonl", "base/model.safetensors", "base/tokenizer.json", "base/config.json"])
def test_one_byte_of_data_or_base_counts(config: Path, name: str) -> None:
    before = fingerprint(config)
    path = config.parent / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert fingerprint(config) != before


def test_a_file_more_in_the_base_counts(config: Path) -> None:
    before = fingerprint(config)
    (config.parent / "base" / "vocab.txt").write_text("x")
    assert fingerprint(config) != before


def test_missing_data_is_said_before_anything_is_trained(config: Path) -> None:
    with pytest.raises(BuildError, match=r"none\.csv"):
        fingerprint(config, "data.path=none.csv")


@pytest.fixture
def built(tiny_artifact: Path, tmp_path: Path) -> Path:
    """A directory of finished versions with one in it."""
    return Path(shutil.copytree(tiny_artifact, tmp_path / "demo" / tiny_artifact.name))


def test_the_artifact_of_the_same_build_is_found(built: Path, tiny_config: Path) -> None:
    config = read_config(tiny_config)
    assert read_manifest(built).build_fingerprint == build_fingerprint(config)
    assert find_built(config, built.parent) == built


def test_that_of_another_build_is_not(built: Path, tiny_config: Path) -> None:
    assert find_built(read_config(tiny_config, ["train.seed=1"]), built.parent) is None
    assert find_built(read_config(tiny_config), built.parent / "none") is None


@pytest.mark.parametrize("damage", ["model.int8.onnx.data", "card.md", "manifest.json"])
def test_a_damaged_one_is_passed_over(built: Path, tiny_config: Path, damage: str) -> None:
    with (built / damage).open("ab") as file:
        file.write(b" x")
    assert find_built(read_config(tiny_config), built.parent) is None


def test_one_that_lacks_a_file_is_passed_over(built: Path, tiny_config: Path) -> None:
    (built / "tokenizer.json").unlink()
    assert find_built(read_config(tiny_config), built.parent) is None


def test_a_build_under_way_is_no_artifact(tiny_config: Path, tmp_path: Path) -> None:
    (tmp_path / ".work-0123456789ab" / "artifact").mkdir(parents=True)
    assert find_built(read_config(tiny_config), tmp_path) is None


def test_another_name_of_a_label_s_folder_is_another_build(tiny_config: Path, tmp_path: Path) -> None:
    """The files are the same; what they are labelled with is not."""
    for label in ("bad", "good"):
        (tmp_path / "texts" / label).mkdir(parents=True)
        (tmp_path / "texts" / label / "1.txt").write_text(f"a {label} film")
    config = read_config(tiny_config, [f"data.path={tmp_path / 'texts'}"])
    before = build_fingerprint(config)
    assert build_fingerprint(config) == before
    (tmp_path / "texts" / "good").rename(tmp_path / "texts" / "fine")
    assert build_fingerprint(config) != before
