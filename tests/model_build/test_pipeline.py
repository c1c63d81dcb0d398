"""Whole builds: reused, rebuilt, refused, through the exporter, and with every kind of hostile input."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.artifact import read_manifest
from slipway.predictor import load_predictor
from tests.conftest import tiny_rows, write_tiny_base, write_tiny_config
from tests.model_build.conftest import Run, assert_refused


@pytest.fixture
def built(tiny_artifact: Path, tmp_path: Path) -> Path:
    """An ``--out`` with the first version in it."""
    shutil.copytree(tiny_artifact, tmp_path / "demo" / tiny_artifact.name)
    return tmp_path


def test_a_second_build_is_the_first(built: Path, tiny_config: Path, tiny_artifact: Path, slipway: Run) -> None:
    outcome = slipway("build", "--config", tiny_config, "--out", built)
    assert outcome.code == 0
    assert "reused" in outcome.out
    assert tiny_artifact.name in outcome.out
    assert [path.name for path in (built / "demo").iterdir()] == [tiny_artifact.name]


def test_a_rebuild_is_another_version_and_prints_one_document(
    built: Path, tiny_config: Path, tiny_artifact: Path, slipway: Run
) -> None:
    outcome = slipway("build", "--config", tiny_config, "--out", built, "--rebuild", "--json")
    assert outcome.code == 0
    assert outcome.document["reused"] is False
    assert outcome.document["version"] != tiny_artifact.name
    assert outcome.document["metrics"]["int8"]["accuracy"] > 0.8
    assert "data" in outcome.err  # the stages are told on stderr
    first, second = read_manifest(tiny_artifact), read_manifest(Path(outcome.document["artifact"]))
    assert first.build_fingerprint == second.build_fingerprint
    assert first.metrics == second.metrics  # seeded throughout


def test_another_setting_does_not_reuse(built: Path, tiny_config: Path, slipway: Run) -> None:
    """The refusal comes from the data, which a reused artifact would never have read."""
    outcome = slipway("build", "--config", tiny_config, "--out", built, "--set", "data.max_chars=1")
    assert_refused(outcome, "no usable row", "over-long text")


def test_a_failed_gate_exits_with_3_names_it_and_leaves_no_artifact(
    tiny_config: Path, tmp_path: Path, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["build", "--config", tiny_config, "--out", tmp_path, "--set", "gates.parity=1e-12"]
    outcome = slipway(*command)
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("error: ")
    assert "fp32 logits against torch, largest difference is" in outcome.err
    assert "must be ≤ 1e-12" in outcome.err
    assert not list(tmp_path.glob("demo/2*"))

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained a second time")

    monkeypatch.setattr("model_build.train.train", never)
    assert slipway(*command).code == 3


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_training_that_diverges_is_refused_and_not_a_traceback(
    tiny_config: Path, tmp_path: Path, slipway: Run
) -> None:
    overrides = ["--set", "train.learning_rate=1e30", "--set", "train.epochs=1"]
    outcome = slipway("build", "--config", tiny_config, "--out", tmp_path, *overrides)
    assert outcome.code in (1, 3)
    assert outcome.err.startswith("error: ")
    assert not list(tmp_path.glob("demo/2*"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of an encoder that only the exporter can write, with three labels."""
    directory = tmp_path_factory.mktemp("distilbert")
    base = write_tiny_base(directory / "base", model_type="distilbert")
    rows = [*tiny_rows(), *({"text": f"film plot filler{i} filler{i + 9}", "label": "neutral"} for i in range(300))]
    return write_tiny_config(directory, base, rows)


def test_an_encoder_that_only_the_exporter_knows_is_built_the_same_way(
    exported: Path, tmp_path: Path, slipway: Run
) -> None:
    outcome = slipway("build", "--config", exported, "--out", tmp_path, "--set", "train.epochs=6", "--json")
    assert outcome.code == 0, outcome.err
    predictor = load_predictor(Path(outcome.document["artifact"]))
    assert predictor.manifest.labels == ["negative", "neutral", "positive"]
    assert predictor.manifest.metrics["test"]["int8"]["accuracy"] > 0.8
    assert all(gate["passed"] for gate in predictor.manifest.gates)
    texts = ["a superb film", "the plot was dull and boring and poor", "film plot filler3 filler12"]
    alone = np.array([predictor.predict([text])[0].probabilities for text in texts])
    together = np.array([answer.probabilities for answer in predictor.predict(texts)])
    assert np.abs(alone - together).max() < 1e-5


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


ROWS = tiny_rows(count=60)
ONE_LABEL = lines([row | {"label": "x"} for row in ROWS])
RARE = lines([*ROWS, {"text": "one", "label": "rare"}, {"text": "two", "label": "rare"}])
CONFLICTS = lines([row | {"label": label} for row in ROWS for label in ("a", "b")])
DOUBLES = lines([{"text": "same", "label": "a"}, {"text": "Same!", "label": "a"}, {"text": "other", "label": "b"}])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", ["a.csv is empty"]),
        ("a.csv", b"text,label\n", ["no usable row: 0 read"]),
        ("a.csv", b"body,label\nx,y\n", ["no column 'text'", "body, label"]),
        ("a.csv", b'text,label\n"open,a\n', ["line", "RFC 4180"]),
        ("a.csv", b"\x00" * 100, ["no column"]),
        ("a.csv", bytes(range(256)) * 20, ["a.csv"]),
        ("a.csv", b"\xff\xfe" + "text,label\nx,y".encode("utf-16-le")[:-1], ["usable row"]),
        ("a.csv", "t\u00e9xt;label\nx;y\n".encode(), ["no column"]),
        ("a.csv", b"text,label\na,b,c\n", ["1 malformed row"]),
        ("a.csv", b"text,label\n,a\n ,b\n", ["2 missing or empty text"]),
        ("a.tsv", b"text,label\nx,y\n", ["no column 'label'"]),
        ("a.txt", b"text\n", ["'.txt'", ".jsonl"]),
        ("a.csv.gz", b"\x1f\x8b", ["'.gz'"]),
        ("a.jsonl", b"{\n{\n", ["no column"]),
        ("a.jsonl", b"[" * 100_000, ["no column"]),
        ("a.jsonl", b'{"text": "x"}\n', ["no column 'label'"]),
        ("a.jsonl", b'{"text": "\\ud800", "label": "a"}\n', ["1 broken encoding"]),
        ("a.jsonl", ONE_LABEL, ["only the label 'x'", "at least two"]),
        ("a.jsonl", RARE, ["'rare' has 2 usable rows"]),
        ("a.jsonl", CONFLICTS, ["120 conflicting labels"]),
        ("a.jsonl", DOUBLES, ["usable rows"]),
        ("a.parquet", b"PAR1 and no more", ["a.parquet is not readable Parquet"]),
    ],
)
def test_hostile_data_is_refused_in_one_line(
    tiny_config: Path, tmp_path: Path, slipway: Run, name: str, content: bytes, words: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    outcome = slipway("build", "--config", tiny_config, "--out", tmp_path, "--set", f"data.path={tmp_path / name}")
    assert_refused(outcome, *words)
    assert not list(tmp_path.glob("demo/2*"))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.path=none.csv", ["none.csv", "data.path"]),
        ("data.path=.", ["no file"]),
        ("data.path=package:no_such_package/x.csv", ["no_such_package"]),
        ("data.text=body", ["no column 'body'", "label, text"]),
        ("data.where.lang=en", ["no column 'lang'"]),
        ("data.where.label=neither", ["no usable row"]),
        ('data.label_names={"positive" = "yes"}', ["'negative'", "data.label_names"]),
        ("network.base=/no/such/base", ["/no/such/base", "network.base"]),
        ("network.max_tokens=128", ["128", "64"]),
        ("train.epoch=1", ["train.epoch", "'epochs'"]),
        ("model=Demo", ["model", "'Demo'"]),
        ("nonsense", ["section.key=value"]),
    ],
)
def test_hostile_settings_are_refused_in_one_line(
    tiny_config: Path, tmp_path: Path, slipway: Run, override: str, words: list[str]
) -> None:
    assert_refused(slipway("build", "--config", tiny_config, "--out", tmp_path, "--set", override), *words)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda base: (base / "model.safetensors").write_bytes(b"half"), id="weights"),
        pytest.param(lambda base: (base / "config.json").write_bytes(b"{"), id="config"),
        pytest.param(lambda base: (base / "tokenizer.json").unlink(), id="tokenizer"),
    ],
)
def test_a_damaged_base_is_refused_in_one_line(
    tiny_config: Path, tiny_base: Path, tmp_path: Path, slipway: Run, damage: Callable[[Path], Any]
) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    damage(base)
    outcome = slipway("build", "--config", tiny_config, "--out", tmp_path, "--set", f"network.base={base}")
    assert_refused(outcome, str(base))


def test_a_label_that_cannot_be_written_is_refused_before_training(
    tiny_config: Path, tmp_path: Path, slipway: Run
) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines([row | {"label": f"\ud800{row['label']}"} for row in ROWS]))
    override = f"data.path={tmp_path / 'a.jsonl'}"
    assert_refused(slipway("build", "--config", tiny_config, "--out", tmp_path, "--set", override), "encoding")


def test_an_out_that_is_a_file_is_refused_in_one_line(tiny_config: Path, tmp_path: Path, slipway: Run) -> None:
    (tmp_path / "file").write_text("x")
    assert_refused(slipway("build", "--config", tiny_config, "--out", tmp_path / "file"), "file")


def test_integers_as_labels_from_parquet_get_their_names(tiny_config: Path, tmp_path: Path, slipway: Run) -> None:
    """What ``label_names`` is for; the refusal shows that 0 and 1 were understood, and 2 was not."""
    table = pa.table({"text": [row["text"] for row in ROWS], "label": [i % 3 for i in range(60)]})
    pq.write_table(table, tmp_path / "a.parquet")
    overrides = ["--set", f"data.path={tmp_path / 'a.parquet'}", "--set", 'data.label_names={"0" = "no", "1" = "yes"}']
    assert_refused(slipway("build", "--config", tiny_config, "--out", tmp_path, *overrides), "'2'")
