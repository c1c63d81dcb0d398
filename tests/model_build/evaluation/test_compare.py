"""Two artifacts on the same texts: who is right where, whether that is proven, and what must not be compared."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from model_build.config import BuildConfig
from model_build.data.clean import clean
from model_build.data.read import read_rows
from model_build.evaluation import compare as module
from model_build.evaluation.compare import compare
from model_build.evaluation.comparison import Comparison
from slipway.errors import BuildError
from tests.model_build.keyword_artifacts import write_artifact

LABELS = ["negative", "positive"]
GOOD, BAD = [-2.0, 2.0], [2.0, -2.0]
KNOWS_ALL = {"good": GOOD, "fine": GOOD, "bad": BAD, "dull": BAD}
KNOWS_HALF = {"good": GOOD, "fine": BAD, "bad": BAD, "dull": BAD}


def config_of(path: Path, rows: Sequence[dict[str, Any]], **data: Any) -> BuildConfig:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    network = {"kind": "pooled"}
    return BuildConfig.model_validate({"model": "m", "data": {"path": str(path), **data}, "network": network})


@pytest.fixture
def films(tmp_path: Path) -> BuildConfig:
    """400 films, a quarter of them with each of the four words."""
    words = {"good": "positive", "fine": "positive", "bad": "negative", "dull": "negative"}
    rows = [{"text": f"film {i}: {word} | really", "label": label} for i in range(100) for word, label in words.items()]
    return config_of(tmp_path / "films.jsonl", rows)


def fingerprint(config: BuildConfig, work: Path) -> str:
    work.mkdir()
    return clean(read_rows(config.data), config.data, work).fingerprint()


@pytest.fixture
def better(tmp_path: Path, films: BuildConfig) -> Comparison:
    """B knows a word that A gets wrong, and both come from these very data."""
    about = {"fingerprint": fingerprint(films, tmp_path / "work")}
    a = write_artifact(tmp_path / "a", KNOWS_HALF, LABELS, **about)
    return compare(a, write_artifact(tmp_path / "b", KNOWS_ALL, LABELS, **about), films)


def test_a_better_model_is_proven_better(better: Comparison) -> None:
    assert (better.split, better.texts) == ("test", 40)
    assert better.b.accuracy == 1
    assert better.a.accuracy == 1 - better.only_b / 40
    assert better.only_a == 0
    assert better.only_b >= 6
    assert better.p_exact == pytest.approx(2 * 0.5**better.only_b)
    assert better.p_mid < better.p_exact < 0.05
    assert 0 < better.interval[0] < better.difference < better.interval[1]
    assert better.verdict == "B is better"
    assert better.warnings == []


def test_flips_and_classes_are_told(better: Comparison) -> None:
    assert better.flipped == {"newly wrong": 0, "newly right": better.only_b, "still wrong": 0}
    assert len(better.flips) == better.only_b
    for flip in better.flips:
        assert "fine" in flip["text"]
        assert (flip["given"], flip["a"], flip["b"]) == ("positive", "negative", "positive")
        assert flip["score"] > 0.9
    assert all(row["change"] > 0 for row in better.classes)
    assert sum(row["texts"] for row in better.classes) == 40


def test_the_same_words_for_a_person_and_for_a_program(better: Comparison) -> None:
    document = json.loads(json.dumps(better.to_dict(), allow_nan=False))
    assert document["verdict"] == "B is better"
    text = better.render_text()
    assert text.startswith("# B against A on 40 texts of the split test: B is better")
    assert f"0 texts only A has right, {better.only_b} only B" in text
    assert "fine \\| really" in text  # a bar in a text is no cell
    assert "| ms a text, alone | 0.5 | 0.5 | +0.0000 |" in text
    assert "| ms a text, packed | - | - | - |" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in table)


def test_a_model_against_itself_differs_in_nothing(tmp_path: Path, films: BuildConfig) -> None:
    a = write_artifact(tmp_path / "a", KNOWS_HALF, LABELS)
    found = compare(a, a, films, split="dev")
    assert (found.difference, found.interval, found.p_exact, found.flips) == (0, [0, 0], 1, [])
    assert found.verdict == "no difference in accuracy is proven"
    assert "0 texts answered differently" in found.render_text()


def test_what_b_newly_gets_wrong_comes_first_and_the_surest_of_it(tmp_path: Path, films: BuildConfig) -> None:
    a = write_artifact(tmp_path / "a", {**KNOWS_ALL, "dull": GOOD}, LABELS)
    b = write_artifact(tmp_path / "b", {**KNOWS_ALL, "fine": [1.0, -1.0], "good": [0.5, -0.5]}, LABELS)
    found = compare(a, b, films, split="all")
    kinds = [flip["kind"] for flip in found.flips]
    assert kinds == ["newly wrong"] * 200 + ["newly right"] * 100
    assert ["fine" in flip["text"] for flip in found.flips[:200]] == [True] * 100 + [False] * 100
    assert found.verdict == "A is better"
    assert "… and 270 more" in found.render_text()


def test_flips_are_counted_beyond_those_listed(
    tmp_path: Path, films: BuildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLIPS", 7)
    a, b = (write_artifact(tmp_path / name, words, LABELS) for name, words in (("a", KNOWS_ALL), ("b", KNOWS_HALF)))
    found = compare(a, b, films, split="all")
    assert len(found.flips) == 7
    assert found.flipped["newly wrong"] == 100


def test_labels_in_another_order_are_the_same_labels(tmp_path: Path, films: BuildConfig) -> None:
    a = write_artifact(tmp_path / "a", KNOWS_ALL, LABELS)
    turned = {word: logits[::-1] for word, logits in KNOWS_ALL.items()}
    found = compare(a, write_artifact(tmp_path / "b", turned, LABELS[::-1]), films)
    assert (found.a.accuracy, found.b.accuracy, found.flips) == (1, 1, [])


def test_label_sets_are_right_as_a_whole(tmp_path: Path) -> None:
    rows = [
        {"text": f"{i} {words}", "label": labels}
        for i in range(60)
        for words, labels in (("good", ["love"]), ("good bad", ["hate", "love"]), ("film", []))
    ]
    config = config_of(tmp_path / "sets.jsonl", rows, task="multi-label")
    words = {"good": [0.0, 4.0], "bad": [4.0, 0.0]}
    lazy = {"good": [-2.0, 2.0], "bad": [-2.0, 0.0]}
    bias = {"film": [-1.0, -1.0], **{str(i): [-2.0, -2.0] for i in range(60)}}
    a, b = (
        write_artifact(tmp_path / name, {**bias, **known}, ["hate", "love"], task="multi-label")
        for name, known in (("a", words), ("b", lazy))
    )
    found = compare(a, b, config)
    assert found.a.accuracy == 1
    assert 0 < found.b.accuracy < 1
    assert found.flips[0]["kind"] == "newly wrong"
    assert {(flip["given"], flip["a"], flip["b"]) for flip in found.flips} == {("hate, love", "hate, love", "love")}
    with pytest.raises(BuildError, match="multi-label, B multi-label, the data single-label"):
        compare(a, b, config_of(tmp_path / "one.jsonl", rows))


def test_artifacts_of_other_data_are_compared_with_a_warning(tmp_path: Path, films: BuildConfig) -> None:
    known = fingerprint(films, tmp_path / "work")
    a = write_artifact(tmp_path / "a", KNOWS_ALL, LABELS, fingerprint=known)
    b = write_artifact(tmp_path / "b", KNOWS_ALL, LABELS, fingerprint="f" * 64)
    warnings = compare(a, b, films).warnings
    assert len(warnings) == 2
    assert warnings[0].startswith("A and B were built from different data")
    assert warnings[1].startswith("B was built from other data")
    found = compare(a, a, films, split="train")
    assert found.warnings == ["The split train may hold texts that A or B were trained on."]
    assert "**Mind:** The split train" in found.render_text()


def test_the_variant_is_the_one_that_serves_or_the_one_asked_for(tmp_path: Path, films: BuildConfig) -> None:
    a = write_artifact(tmp_path / "a", KNOWS_ALL, LABELS, serve="fp32")
    b = write_artifact(tmp_path / "b", KNOWS_ALL, LABELS)
    found = compare(a, b, films)
    assert (found.a.variant, found.b.variant) == ("fp32", "int8")
    assert found.a.ms_alone is None
    asked = compare(a, b, films, variant="fp16")
    assert (asked.a.variant, asked.b.variant) == ("fp16", "fp16")
    assert asked.a.megabytes == asked.b.megabytes > 0


def test_what_cannot_be_compared_is_refused(tmp_path: Path, films: BuildConfig) -> None:
    a = write_artifact(tmp_path / "a", KNOWS_ALL, LABELS)
    other = write_artifact(tmp_path / "other", {"good": [0, 1, 0]}, [*LABELS, "mixed"])
    with pytest.raises(BuildError, match="Only B knows the label 'mixed'"):
        compare(a, other, films)
    with pytest.raises(BuildError, match="no split 'validation'"):
        compare(a, a, films, split="validation")
    with pytest.raises(BuildError, match="no variant 'int4'"):
        compare(a, a, films, variant="int4")
    strangers = [{"text": f"film {i}", "label": label} for i, label in enumerate(["negative", "awful"] * 9)]
    with pytest.raises(BuildError, match="the label 'awful'; the artifact knows negative, positive"):
        compare(a, a, config_of(tmp_path / "strangers.jsonl", strangers))
