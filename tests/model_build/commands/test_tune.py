"""``slipway tune`` at its door."""

import json
from pathlib import Path

import pytest

from model_build.config import read_config
from tests.conftest import tiny_rows
from tests.model_build.conftest import Run, assert_refused


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tune")
    (directory / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tiny_rows(count=120)))
    path = directory / "tiny.toml"
    path.write_text(
        f"""model = "demo"
[data]
path = "{directory}/rows.jsonl"
[network]
kind = "pooled"
vocabulary = 300
width = 8
hidden = 8
[train]
epochs = 1
tensorboard = false
[tune]
trials = 9
[tune.space]
train.learning_rate = {{ low = 1e-3, high = 1e-1, log = true }}
train.optimizer = ["adamw", "adam"]
"""
    )
    return path


def test_one_document_or_a_table_and_the_best_configuration_can_be_built_from(
    config: Path, tmp_path: Path, slipway: Run
) -> None:
    outcome = slipway("tune", "-c", config, "--trials", 1, "--out", tmp_path, "--json")
    assert outcome.code == 0
    document = outcome.document
    assert [trial["number"] for trial in document["trials"]] == [0]
    assert document["best"] == document["trials"][0]
    assert Path(document["config"]) == tmp_path / "demo/tune/best.toml"
    assert Path(document["plot"]).read_bytes().startswith(b"\x89PNG")
    assert read_config(Path(document["config"])).train.optimizer == "adamw"
    outcome = slipway("tune", "-c", config, "--trials", 2, "--out", tmp_path)
    assert outcome.code == 0
    assert "learning_rate" in outcome.out.replace("\u200b", "")
    assert "best" in outcome.out
    assert f"{tmp_path}/demo/tune/best.toml: dev score " in outcome.out


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("tune.space.train.learning_rat=[1]", ["train.learning_rat", "Did you mean 'train.learning_rate'?"]),
        ("tune.space.train.epochs={low=2,high=1}", ["train.epochs", "low 2 is not below high 1"]),
        ("tune.trials=0", ["tune.trials = 0"]),
        ("data.path=nowhere.csv", ["nowhere.csv"]),
    ],
)
def test_what_cannot_be_searched_is_one_line(
    config: Path, tmp_path: Path, slipway: Run, override: str, words: list[str]
) -> None:
    assert_refused(slipway("tune", "-c", config, "--out", tmp_path, "--set", override), *words)


def test_an_out_that_cannot_be_written_is_one_line(config: Path, tmp_path: Path, slipway: Run) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(slipway("tune", "-c", config, "--out", tmp_path / "file"), "cannot be made", "--out")


def test_no_trials_is_wrong_usage(config: Path, slipway: Run) -> None:
    assert slipway("tune", "-c", config, "--trials", 0).code == 2
