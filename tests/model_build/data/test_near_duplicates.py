"""Near-duplicates: what is found is true, and next to nothing that is true is missed."""

import random
import time
from itertools import combinations

import datasketch
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_build.data.near_duplicates import NearDuplicates, find_near_duplicates
from model_build.data.texts import normalize

WORDS = ["".join(random.Random(i).choices("abcdefghijklmnop", k=6)) for i in range(400)]


def shingles(text: str) -> set[str]:
    form = normalize(text)
    return {form[i : i + 5] for i in range(max(1, len(form) - 4))}


def jaccard(one: str, other: str) -> float:
    return len(shingles(one) & shingles(other)) / len(shingles(one) | shingles(other))


def find(texts: list[str], similarity: float = 0.8, **options: int) -> NearDuplicates:
    return find_near_duplicates(texts.__getitem__, len(texts), similarity=similarity, seed=1, **options)


def altered(count: int, seed: int = 0) -> list[str]:
    """Sentences of twenty words, each followed by one that differs in up to three."""
    chooser = random.Random(seed)
    texts = []
    for _ in range(count):
        words = chooser.sample(WORDS, 20)
        texts.append(" ".join(words))
        for _ in range(chooser.randint(0, 3)):
            words[chooser.randrange(20)] = chooser.choice(WORDS)
        texts.append(" ".join(words))
    return texts


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 0.9, 1.0])
def test_pairs_are_those_of_comparing_all_with_all(similarity: float) -> None:
    texts = altered(60)
    expected = {pair for pair in combinations(range(120), 2) if jaccard(*(texts[i] for i in pair)) >= similarity}
    found = find(texts, similarity)
    pairs = {tuple(sorted(pair)) for pair in found.pairs.tolist()}
    assert pairs <= expected
    assert len(pairs) >= 0.95 * len(expected)
    assert expected
    for (one, other), value in zip(found.pairs, found.similarities, strict=True):
        assert value == pytest.approx(jaccard(texts[one], texts[other]))
    assert found.similarities.tolist() == sorted(found.similarities, reverse=True)


def test_datasketch_finds_the_same() -> None:
    texts = altered(150, seed=5)
    index = datasketch.MinHashLSH(threshold=0.8, num_perm=128)
    sketches = [datasketch.MinHash.bulk([{s.encode() for s in shingles(text)}], num_perm=128)[0] for text in texts]
    for place, sketch in enumerate(sketches):
        index.insert(place, sketch)
    theirs = {tuple(sorted((a, b))) for a, sketch in enumerate(sketches) for b in index.query(sketch) if a != b}
    theirs = {(a, b) for a, b in theirs if jaccard(texts[a], texts[b]) >= 0.8}
    ours = {tuple(sorted(pair)) for pair in find(texts).pairs.tolist()}
    assert len(ours & theirs) >= 0.95 * len(theirs)
    assert len(ours) >= len(theirs) * 0.95 > 0


def test_what_differs_in_what_a_form_leaves_out_is_the_same() -> None:
    assert find(["Bad, good film!", "something else", "bad good FILM"], 1.0).pairs.tolist() == [[0, 2]]


def test_pairs_join_to_groups() -> None:
    base = " ".join(WORDS[:30])
    found = find([base, WORDS[50], f"{base} {WORDS[31]}", f"{base} {WORDS[31]} {WORDS[32]}", WORDS[51]])
    assert found.groups[0] == found.groups[2] == found.groups[3]
    assert len(set(found.groups.tolist())) == 3


def test_a_thousand_of_a_kind_are_one_group_without_comparing_all_with_all() -> None:
    base = " ".join(WORDS[:40])
    found = find([f"{base} {i}" for i in range(1_000)])
    assert len(set(found.groups.tolist())) == 1
    assert len(found.pairs) < 40_000  # of 499,500


def test_groups_across_splits_are_told() -> None:
    base, other = " ".join(WORDS[:30]), " ".join(WORDS[40:70])
    found = find([base, other, other + " x", WORDS[90], base + " x"])
    assert found.crossing([3, 2])[found.groups].tolist() == [True, False, False, False, True]


def test_above_the_limit_a_seeded_sample_is_looked_at() -> None:
    texts = altered(100)
    some, again = find(texts, limit=50), find(texts, limit=50)
    assert some.looked_at == 50
    assert len(some.groups) == 200
    assert some.pairs.tolist() == again.pairs.tolist()
    assert len(some.pairs) < len(find(texts).pairs)


@given(st.lists(st.text(min_size=1, max_size=12).filter(str.strip), max_size=20))
@settings(max_examples=50)
def test_any_texts_are_survived(texts: list[str]) -> None:
    found = find(texts)
    assert len(found.groups) == len(texts)
    for one, other in found.pairs:
        assert one != other
        assert jaccard(texts[one], texts[other]) >= 0.8


def test_eight_thousand_sentences_take_seconds() -> None:
    chooser = np.random.default_rng(0)
    texts = [" ".join(WORDS[word] for word in chooser.integers(0, 400, 17)) for _ in range(8_500)]
    started = time.process_time()
    find(texts)
    assert time.process_time() - started < 5
