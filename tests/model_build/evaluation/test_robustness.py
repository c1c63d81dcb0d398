"""Changed texts: what is changed, what is left alone, and what becomes of the answers."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from model_build.evaluation.robustness import (
    CHANGES,
    TEXTS,
    first_words,
    is_spaceless,
    mistype,
    robustness,
    strip_punctuation,
)
from slipway.artifact import Task

ENGLISH = ["A good film, really!", "Bad plot. Very BAD acting", "good", "The film was long"]
CHINESE = ["这部电影很好看、非常感人。", "剧情很差", "好", "演员的表演非常出色"]


class Keyword:
    """Says yes (in a multi-label task, the first of two labels) where a text has the word ``good``."""

    def __init__(self, word: str = "good", *, broken: bool = False) -> None:
        self.word = word
        self.broken = broken
        self.calls: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.calls.append(list(texts))
        scores = [[1.0, -1.0] if self.word in text else [-1.0, 1.0] for text in texts]
        return np.array(scores, np.float32) * (np.nan if self.broken else 1)


def by_change(rows: list[dict[str, object]]) -> dict[object, dict[str, object]]:
    return {row["change"]: row for row in rows}


def test_every_change_is_scored_against_the_texts_as_they_are() -> None:
    rows = by_change(robustness(ENGLISH, np.array([0, 1, 0, 1]), "single-label", Keyword()))
    assert list(rows) == ["none", *(name for name in CHANGES if name in rows)]
    assert rows["none"] == {"change": "none", "accuracy": 1.0, "same_label": 1.0}
    assert rows["upper case"] == {"change": "upper case", "accuracy": 0.5, "same_label": 0.5}
    assert rows["lower case"]["same_label"] == 1
    assert rows["no punctuation"]["accuracy"] == 1


def test_a_multi_label_answer_is_the_same_only_as_a_whole() -> None:
    targets = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.uint8)
    rows = by_change(robustness(ENGLISH, targets, "multi-label", Keyword()))
    assert rows["none"]["accuracy"] == 1
    assert rows["upper case"]["same_label"] == 0.5


def test_a_change_that_alters_nothing_is_left_out() -> None:
    rows = by_change(robustness(CHINESE, np.zeros(4, np.int64), "single-label", Keyword("好")))
    assert "upper case" not in rows
    assert "lower case" not in rows
    assert "first half" in rows


def test_a_thousand_texts_at_most_and_the_same_ones_each_time() -> None:
    texts = [f"Text number {i} is good" for i in range(TEXTS + 500)]
    first, second = Keyword(), Keyword()
    targets = np.zeros(len(texts), np.int64)
    assert robustness(texts, targets, "single-label", first) == robustness(texts, targets, "single-label", second)
    assert first.calls == second.calls
    assert {len(call) for call in first.calls} == {TEXTS}
    assert len(set(first.calls[0])) == TEXTS


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_no_text_is_emptied_and_no_answer_is_needed(task: Task) -> None:
    texts = ["!", "x", "a", "…"]
    targets = np.zeros(4, np.int64) if task == "single-label" else np.zeros((4, 2), np.uint8)
    predict = Keyword(broken=True)
    rows = robustness(texts, targets, task, predict)
    assert rows[0]["change"] == "none"
    assert all(text for call in predict.calls for text in call)


def test_typos_hit_about_two_of_a_hundred_letters_and_nothing_else() -> None:
    text = "the quick brown fox jumps over the lazy dog 12345 !!! " * 200
    mistyped = mistype(text, random.Random(1))
    letters = sum(map(str.isalpha, text))
    assert mistyped != text
    assert abs(len(mistyped) - len(text)) < 0.02 * letters
    assert mistyped.count("!") == text.count("!")
    assert mistyped.count("3") == text.count("3")
    assert set(mistyped) <= set(text)


@pytest.mark.parametrize("text", ["", " ", "123", "x", "é"])
def test_typos_in_almost_nothing(text: str) -> None:
    for seed in range(100):
        assert len(mistype(text, random.Random(seed))) <= len(text) + 1


def test_words_are_characters_where_there_are_no_spaces() -> None:
    assert first_words("这部电影很好看", 4) == "这部电影"
    assert first_words("这部电影很好看") == "这部电影"
    assert first_words("a  very\nfine film", 2) == "a very"
    assert first_words("one") == "one"
    assert first_words("") == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("这部电影很好看 OK", True),
        ("とても面白い映画", True),
        ("ภาพยนตร์เรื่องนี้ดีมาก", True),
        ("재미있는 영화", False),
        ("ein 好 Film", False),
        ("", False),
        ("123 !", False),
    ],
)
def test_scripts_without_spaces(text: str, expected: bool) -> None:
    assert is_spaceless(text) is expected


def test_punctuation_goes_and_vowel_signs_stay() -> None:
    assert strip_punctuation("«Bon», dit-il… $5") == "Bon dit il 5"
    assert strip_punctuation("ที่นี่ดี!") == "ที่นี่ดี"
