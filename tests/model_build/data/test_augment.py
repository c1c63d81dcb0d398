"""Augmentation: seeded, one text at a time, and what a reader sees as one character stays one."""

from typing import Any

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from model_build.data.augment import Augmented, augment
from model_build.data.splits import Example, Split
from model_build.sections import AugmentConfig
from slipway.artifact import Task

# Each is one character to a reader: of one code point or of several, from scripts with spaces and without.
SPACED = ["a", "Q", "z", "é", "e\u0301", "ñ", "한", "!", "7", "👍🏽", "👩‍👩‍👧", "🇩🇪"]
CHARACTERS = [*SPACED, "好", "看", "が", "นี้", "ก"]
WORDS = st.lists(st.sampled_from(CHARACTERS), min_size=1, max_size=6).map("".join)
TEXTS = st.lists(WORDS, min_size=1, max_size=8).map(" ".join)
CHANCES = st.sampled_from([0.0, 0.3, 0.99])


@st.composite
def configs(draw: st.DrawFn, **fixed: Any) -> AugmentConfig:
    chosen = {name: draw(CHANCES) for name in ("word_dropout", "swap", "typos", "label_mixing")}
    return AugmentConfig(**{"copies": draw(st.integers(1, 3)), "seed": draw(st.integers(0, 99)), **chosen, **fixed})


def config(**options: Any) -> AugmentConfig:
    nothing = {"word_dropout": 0.0, "swap": 0.0, "typos": 0.0, "label_mixing": 0.0}
    return AugmentConfig(**{"copies": 1, **nothing, **options})


def characters(text: str) -> list[str]:
    return regex.findall(r"\X", text)


def examples(*texts: str, labels: int = 3) -> list[Example]:
    return [Example(text, (index % labels,)) for index, text in enumerate(texts)]


def copies(texts: list[str], options: AugmentConfig, *, task: Task = "single-label") -> list[Augmented]:
    return list(augment(examples(*texts), options, labels=3, task=task))


@given(st.lists(TEXTS, min_size=1, max_size=4), configs())
def test_every_copy_has_text_and_a_target_of_mass_one(texts: list[str], options: AugmentConfig) -> None:
    found = copies(texts, options)
    assert len(found) == options.copies * len(texts)
    for copy in found:
        assert copy.text.strip()
        assert copy.targets.dtype == np.float32
        assert copy.targets.shape == (3,)
        assert copy.targets.min() >= 0
        assert copy.targets.sum() == pytest.approx(1, abs=1e-6)


@given(TEXTS, configs(typos=0.0, label_mixing=0.0))
def test_dropping_and_swapping_words_tears_no_character_and_invents_none(text: str, options: AugmentConfig) -> None:
    before = characters(text)
    for copy in copies([text], options):
        after = characters(copy.text)
        assert all(after.count(character) <= before.count(character) for character in after)


@given(TEXTS, configs(word_dropout=0.0, swap=0.0, label_mixing=0.0))
def test_typos_touch_letters_only_and_as_wholes(text: str, options: AugmentConfig) -> None:
    keys = set("qwertyuiopasdfghjklzxcvbnmQWERTYUIOPASDFGHJKLZXCVBNM")
    others = [character for character in characters(text) if not character[0].isalpha()]
    for copy in copies([text], options):
        after = characters(copy.text)
        assert set(after) <= set(characters(text)) | keys
        assert [character for character in after if not character[0].isalpha()] == others


@given(st.lists(TEXTS, min_size=2, max_size=5), configs(label_mixing=0.0))
def test_a_copy_depends_on_its_own_row_alone(texts: list[str], options: AugmentConfig) -> None:
    first = copies(texts, options)
    assert [copy.text for copy in copies(texts, options)] == [copy.text for copy in first]
    rest = copies([texts[0], *reversed(texts[1:])], options)
    assert [copy.text for copy in rest[: options.copies]] == [copy.text for copy in first[: options.copies]]


@given(st.lists(st.sampled_from(SPACED), min_size=1).map("".join), configs(typos=0.0, label_mixing=0.0))
def test_one_word_stays(word: str, options: AugmentConfig) -> None:
    assert {copy.text for copy in copies([word], options)} == {word}


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_a_text_without_words_is_left_as_it_is(text: str) -> None:
    assert [copy.text for copy in copies([text], config(word_dropout=0.9, typos=0.9))] == [text]


def test_nothing_asked_changes_nothing() -> None:
    texts = ["a fine  film\nindeed", "这部电影 很好看。"]
    assert [copy.text for copy in copies(texts, config())] == texts
    assert copies(texts, config(copies=0)) == []


def test_shares_are_about_what_was_asked() -> None:
    text = " ".join(f"word{i}" for i in range(4_000))
    [dropped] = copies([text], config(word_dropout=0.25))
    assert len(dropped.text.split()) == pytest.approx(3_000, rel=0.05)
    [swapped] = copies([text], config(swap=0.1))
    words = zip(text.split(), swapped.text.split(), strict=True)
    assert sum(one != other for one, other in words) == pytest.approx(2 * 0.1 * 4_000, rel=0.2)
    [typed] = copies(["letters " * 1_000], config(typos=0.05))
    wrong = sum(word != "letters" for word in typed.text.split())
    assert wrong == pytest.approx(1_000 * (1 - 0.95**7), rel=0.2)


def test_in_scripts_without_spaces_characters_are_dropped_and_swapped() -> None:
    text = "这部电影非常好看我很喜欢" * 20
    [dropped] = copies([text], config(word_dropout=0.2))
    assert len(text) * 0.6 < len(dropped.text) < len(text)
    [swapped] = copies([text], config(swap=0.2))
    assert swapped.text != text
    assert sorted(swapped.text) == sorted(text)


def test_mistyped_letters_are_near_on_the_keyboard_and_keep_their_case() -> None:
    found = {copy.text for copy in copies(["G"], config(copies=10, typos=0.99)) if len(copy.text) == 1}
    assert found
    assert found <= set("FHVB")


def test_a_mixed_copy_shares_its_target_by_length() -> None:
    long, short = "long " * 30 + "text", "short"
    for copy in copies([long, short], config(copies=10, label_mixing=0.99)):
        lengths = [copy.text.count("long") * 5 + 4 * copy.text.count("text"), copy.text.count("short") * 5]
        expected = [length / sum(lengths) for length in lengths]
        np.testing.assert_allclose(copy.targets, [*expected, 0], atol=0.02)


def test_a_mixed_multi_label_copy_has_the_labels_of_both() -> None:
    rows = [Example("one", (0, 1)), Example("other", (2,)), Example("none", ())]
    found = list(augment(rows, config(copies=10, label_mixing=0.99), labels=3, task="multi-label"))
    for copy in found:
        parts = set(copy.text.split())
        assert copy.targets.tolist() == [float("one" in parts), float("one" in parts), float("other" in parts)]
    assert len({copy.text for copy in found}) > 3


def test_a_split_is_read_as_a_list_is() -> None:
    rows = examples("one text", "another text", "a third")
    options = config(copies=2, word_dropout=0.3, label_mixing=0.5)
    of_split = augment(Split.of(rows, labels=3), options, labels=3, task="single-label")
    of_list = augment(rows, options, labels=3, task="single-label")
    assert [copy.text for copy in of_split] == [copy.text for copy in of_list]
