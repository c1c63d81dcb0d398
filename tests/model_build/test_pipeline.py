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
from tokenizers import Tokenizer, models, pre_tokenizers

from model_build.pipeline import can_spell
from slipway.artifact import read_manifest
from slipway.encoding import Encoder
from slipway.loading import load_predictor
from tests.conftest import tiny_rows, write_tiny_base, write_tiny_config
from tests.model_build.conftest import Run, assert_refused


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (models.WordLevel({"<pad>": 0, "<unk>": 1, "film": 2}, unk_token="<unk>"), True),
        (models.Unigram([("<pad>", 0.0), ("<unk>", 0.0), ("film", -1.0)], 1), True),
        (models.WordLevel({"<pad>": 0, "film": 2}, unk_token="<pad>"), True),
        (models.WordPiece({"<pad>": 0, "<unk>": 1, "film": 2}, unk_token="<unk>"), False),
    ],
    ids=["words", "unigram", "unknown", "pieces"],
)
def test_which_tokenizers_let_a_text_spell_its_padding(network: Any, found: bool) -> None:
    tokenizer = Tokenizer(network)
    parted = isinstance(network, models.WordPiece)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer() if parted else pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<pad>"])
    assert can_spell(Encoder(tokenizer, max_tokens=8), 0) is found


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
    assert first.content_digest() == second.content_digest() == outcome.document["digest"]
    assert first.digest() != second.digest()  # another time, and other milliseconds


def test_a_build_holds_the_evidence(tiny_artifact: Path) -> None:
    found = {path.relative_to(tiny_artifact).as_posix() for path in tiny_artifact.rglob("report/*")}
    assert "report/report.html" in found
    assert len([name for name in found if name.endswith(".png")]) >= 5
    assert found <= set(read_manifest(tiny_artifact).files)


GRID = [
    "--set=compress.recipes=['full', 'cut:1+tune', 'prune:heads=0.5,ffn=0.5+distil']",
    "--set=compress.precisions=['fp32', 'rows', 'dynamic', 'static', 'weights']",
    "--set=compress.constraint='accuracy_drop <= 10'",
    "--set=distil.teachers=1",
    "--set=distil.learning_rate=3e-3",
]


def test_a_grid_is_shown_and_the_build_goes_on_from_it(tiny_config: Path, tmp_path: Path, slipway: Run) -> None:
    shown = slipway("compress", "--config", tiny_config, "--out", tmp_path, "--json", *GRID)
    assert shown.code == 0, shown.err
    points = shown.document["points"]
    assert len(points) == 15
    assert [point["chosen"] for point in points].count(True) == 1
    assert Path(shown.document["plot"]).read_bytes().startswith(b"\x89PNG")
    trained = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("trained.pt")}
    assert len(trained) == 3
    built = slipway("build", "--config", tiny_config, "--out", tmp_path, "--json", *GRID)
    assert built.code == 0, built.err
    manifest = read_manifest(Path(built.document["artifact"]))
    recipes = {point["recipe"] for point in points if point["allowed"]}
    assert manifest.training["recipe"] in recipes
    card = (Path(built.document["artifact"]) / "card.md").read_text("utf-8")
    assert all(recipe in card for recipe in ("cut:1+tune", "prune:heads=0.5,ffn=0.5+distil"))


def test_a_grid_without_its_section_is_refused(tiny_config: Path, tmp_path: Path, slipway: Run) -> None:
    assert_refused(slipway("compress", "--config", tiny_config, "--out", tmp_path), "[compress]", "docs/building.md")


@pytest.mark.parametrize("kind", ["pooled", "lstm", "transformer"])
def test_every_network_from_scratch_becomes_an_artifact(
    tiny_config: Path, tmp_path: Path, slipway: Run, kind: str
) -> None:
    network = "{kind = '%s', width = 32, hidden = 32, vocabulary = 400, max_tokens = 32}" % kind  # noqa: UP031
    overrides = [f"--set=network={network}", "--set=train.epochs=6", "--set=train.learning_rate=1e-2"]
    outcome = slipway("build", "--config", tiny_config, "--out", tmp_path, "--json", *overrides)
    assert outcome.code == 0, outcome.err
    predictor = load_predictor(Path(outcome.document["artifact"]))
    assert predictor.manifest.training["kind"] == kind
    assert predictor.manifest.metrics["test"]["fp32"]["accuracy"] > 0.8
    assert predictor.predict(["a superb lovely great film"])[0].probabilities.argmax() == 1


def test_a_multi_label_task_is_built_and_answers_each_label(tiny_config: Path, tmp_path: Path, slipway: Run) -> None:
    words = {"good": "praise", "dull": "boredom", "music": "sound", "plot": "story"}
    rows = []
    for number in range(400):
        chosen = [word for place, word in enumerate(words) if number >> place & 1]
        rows.append({"text": f"a film {number} with {' and '.join(chosen)}", "label": [words[w] for w in chosen]})
    (tmp_path / "rows.jsonl").write_bytes(lines(rows))
    overrides = [f"--set=data.path={tmp_path / 'rows.jsonl'}", "--set=data.task='multi-label'", "--set=train.epochs=10"]
    network = "--set=network={kind = 'pooled', width = 32, hidden = 32, vocabulary = 400}"
    command = ["build", "--config", tiny_config, "--out", tmp_path, "--json", *overrides, network]
    outcome = slipway(*command, "--set=train.learning_rate=2e-2")
    assert outcome.code == 0, outcome.err
    artifact = Path(outcome.document["artifact"])
    assert read_manifest(artifact).task == "multi-label"
    texts = ["a film with good music", "a film with dull plot", "a film"]
    answered = slipway("predict", *texts, "--artifact", artifact, "--json").document["predictions"]
    assert [sorted(answer["labels"]) for answer in answered] == [["praise", "sound"], ["boredom", "story"], []]


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

    monkeypatch.setattr("model_build.training.train.fit", never)
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
        ("a.csv.gz", b"\x1f\x8b", ["a.csv.gz"]),
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
        ("data.path=tests", ["tests", ".txt"]),
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
