"""Sentences for the teacher: uniform, seeded, none of them known, none twice."""
# ruff: noqa: RUF001 - full-width punctuation is what ends a sentence in Chinese

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_build.data.splits import Example, Split
from model_build.data.texts import normalize
from model_build.data.unlabelled import cut, known_digests, sentences

REVIEW = "I liked the first half of it. The second one was dull!<br /><br />Would I see it again? Never, not for money."


def drawn(*texts: str, known: tuple[str, ...] = (), limit: int = 100, seed: int = 1, **bounds: int) -> list[str]:
    split = Split.of([Example(text, (0,)) for text in known], labels=1)
    return sentences(texts, known=known_digests(split), limit=limit, seed=seed, **bounds)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (REVIEW, ["I liked the first half of it.", "The second one was dull!", "Would I see it again?",
                  "Never, not for money."]),
        ("这部电影很好看。演员也不错！值得看吗？值得", ["这部电影很好看。", "演员也不错！", "值得看吗？", "值得"]),
        ("他说：「很好！」我同意。", ["他说：「很好！」", "我同意。"]),
        ('He said "no." Then (again.) he left...', ['He said "no."', "Then (again.)", "he left..."]),
        ("It cost 3.50 at www.example.com today.", ["It cost 3.50 at www.example.com today."]),
        ("Mr. Smith and J. R. Lee met Dr. No. They left.", ["Mr. Smith and J. R. Lee met Dr. No. They left."]),
        ("one\nline\r\n\nand<BR>another\u2028one", ["one", "line", "and", "another", "one"]),
        ("  much   \t space ", ["much space"]),
        ("?! ... . 。", ["?!", "...", ".", "。"]),
        ("", []),
    ],
)  # fmt: skip
def test_text_is_cut_at_the_ends_of_sentences(text: str, parts: list[str]) -> None:
    assert cut(text) == parts


@given(st.text(st.sampled_from("ab.!?。！ \n\"')A"), max_size=60))
def test_cutting_loses_only_space(text: str) -> None:
    assert "".join("".join(cut(text)).split()) == "".join(text.split())


def test_a_long_run_of_stops_takes_no_time() -> None:
    assert len(cut("." * 200_000 + "a")) == 1


def test_sentences_are_of_the_lengths_asked_for() -> None:
    found = drawn(REVIEW, "Short. " + "x" * 400 + ". A sentence that is just right.")
    assert "A sentence that is just right." in found
    assert all(20 <= len(sentence) <= 300 for sentence in found)
    assert drawn("ab. abcd. abcdef.", min_chars=4, max_chars=5) == ["abcd."]


def test_what_is_in_a_split_does_not_come_again_however_it_is_written() -> None:
    found = drawn(REVIEW, known=("the SECOND one , was dull", "Would I see it again"))
    assert found == ["I liked the first half of it.", "Never, not for money."]


def test_no_sentence_comes_twice() -> None:
    assert drawn(REVIEW, REVIEW.upper().replace("<BR />", "\n"), REVIEW) == drawn(REVIEW)


@given(st.lists(st.text(st.sampled_from("abc. "), max_size=30), max_size=20), st.integers(0, 9), st.integers(0, 99))
def test_a_sample_is_seeded_bounded_and_of_distinct_sentences(texts: list[str], limit: int, seed: int) -> None:
    found = drawn(*texts, limit=limit, seed=seed, min_chars=1)
    assert found == drawn(*texts, limit=limit, seed=seed, min_chars=1)
    every = drawn(*texts, limit=1_000, min_chars=1)
    assert len(found) == min(limit, len(every))
    assert set(found) <= set(every)
    assert len({normalize(sentence) for sentence in found}) == len(found)


def test_early_and_late_sentences_are_as_likely_to_be_drawn() -> None:
    texts = [f"This is sentence number {i}." for i in range(40)]
    counts = Counter(sentence for seed in range(400) for sentence in drawn(*texts, limit=10, seed=seed))
    assert len(counts) == 40
    assert all(60 < count < 145 for count in counts.values())  # 100 expected, standard deviation 8.7


def test_texts_are_read_one_at_a_time() -> None:
    alive = 0

    def texts() -> object:
        nonlocal alive
        for i in range(1_000):
            alive += 1
            yield f"This is sentence number {i}."

    assert len(sentences(texts(), known=set(), limit=5, seed=1)) == 5  # type: ignore[arg-type]
    assert alive == 1_000
