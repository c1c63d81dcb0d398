"""The cleaning report: what it counts is there, and what it shows is short."""

import json
from pathlib import Path
from typing import Any

import pytest

from model_build.data.clean import clean
from model_build.data.findings import Findings
from model_build.data.read import Row
from model_build.sections import DataConfig

ENGLISH = "the weather was lovely and we walked along the river until the sun went down behind the hills"
GERMAN = "das Wetter war schön und wir gingen am Fluss entlang, bis die Sonne hinter den Hügeln unterging"


def rows() -> list[Row]:
    """Two labels, two languages."""
    return [Row(f"{GERMAN if i % 4 == 3 else ENGLISH} {i * 7919 % 1000}", "ab"[i % 2]) for i in range(80)]


def findings_of(rows: list[Row], work: Path, **options: Any) -> Findings:
    return clean(rows, DataConfig(path="rows.csv", **options), work).findings


@pytest.fixture
def found(tmp_path: Path) -> Findings:
    """What is found where there is something of everything."""
    hostile = [
        Row("One more time", "a"),
        Row("One more time", "a"),
        Row("ONE more time!", "a"),
        Row("which is it?", "a"),
        Row("which is it", "b"),
        Row("grÃ¼n " + "x" * 500, "a"),
        Row("<b>bold</b> words", "b"),
        Row(None, "b"),
        Row(malformed=True),
    ]
    return findings_of([*hostile, *rows()], tmp_path)


def test_everything_adds_up(found: Findings) -> None:
    assert found.rows == found.kept + sum(found.dropped.values()) == 89
    assert sum(sum(counts.values()) for counts in found.balance.values()) == found.kept
    assert found.dropped == {
        "conflicting labels": 2,
        "exact duplicate": 1,
        "malformed row": 1,
        "missing or empty text": 1,
        "normalized duplicate": 1,
    }


def test_examples_name_rows_texts_and_labels(found: Findings) -> None:
    assert found.examples["normalized duplicate"] == [
        {
            "row": 3,
            "text": "ONE more time!",
            "labels": ["a"],
            "same_as_row": 1,
            "same_as": "One more time",
            "its_labels": ["a"],
        }
    ]
    (conflict,) = found.examples["conflicting labels"]
    assert (conflict["row"], conflict["same_as_row"], conflict["labels"], conflict["its_labels"]) == (
        5,
        4,
        ["b"],
        ["a"],
    )


def test_mended_texts_and_html_are_counted_and_shown_short(found: Findings) -> None:
    assert (found.mended.count, found.html.count, found.html_stripped) == (1, 1, False)
    (mended,) = found.mended.examples
    assert mended["kept"].startswith("grün xx")
    assert len(mended["kept"]) == 120
    assert found.html.examples == [{"row": 7, "found": "<b>bold</b> words", "kept": "bold words"}]


def test_lengths_are_deciles_between_the_shortest_and_the_longest(found: Findings) -> None:
    lengths = [found.lengths.shortest, *found.lengths.deciles, found.lengths.longest]
    assert lengths == sorted(lengths)
    assert len(found.lengths.deciles) == 9
    assert (lengths[0], lengths[-1]) == (len("One more time"), 505)


def test_languages_are_shares(found: Findings) -> None:
    assert list(found.languages)[:2] == ["en", "de"]
    assert sum(found.languages.values()) == pytest.approx(1, abs=0.001)
    assert found.language_texts == found.kept


def test_a_text_that_tells_no_language_is_unknown(tmp_path: Path) -> None:
    numbers = [Row(f"{i} {i * i}", "ab"[i % 2]) for i in range(40)]
    assert next(iter(findings_of(numbers, tmp_path).languages)) == "unknown"


def test_near_duplicates_are_shown_with_their_splits_those_across_splits_first(tmp_path: Path) -> None:
    near = findings_of(rows(), tmp_path, near_duplicate_similarity=0.6).near_duplicates
    assert near.groups >= 1
    assert near.crossing >= 1
    assert near.training_texts > 0
    assert near.grouped <= near.texts == near.looked_at == 80
    assert 0 < len(near.examples) <= 10
    assert len(set(near.examples[0]["splits"])) == 2
    assert all(example["similarity"] >= 0.6 for example in near.examples)


def test_no_more_than_ten_examples_are_kept_of_anything(tmp_path: Path) -> None:
    many = [Row(f"{i} Ã¼ <b>x</b>", "a") for i in range(30)]
    found = findings_of([*many, *many, *rows()], tmp_path)
    assert found.mended.count == found.html.count == 60
    assert [len(e) for e in (found.mended.examples, found.html.examples, *found.examples.values())] == [10, 10, 10]


def test_the_report_is_json_and_the_same_each_time(tmp_path: Path) -> None:
    first, again = findings_of(rows(), tmp_path), findings_of(rows(), tmp_path)
    assert json.loads(json.dumps(first.to_dict())) == first.to_dict() == again.to_dict()
