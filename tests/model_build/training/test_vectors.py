"""Tokens that occur in the same company get vectors that point the same way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model_build.training import vectors
from model_build.training.vectors import count_pairs, positive_information, token_vectors

TEXTS = st.lists(hnp.arrays(np.int32, st.integers(0, 9), elements=st.integers(0, 19)), max_size=12)


def counted_slowly(texts: list[np.ndarray], vocabulary: int) -> np.ndarray:
    counts = np.zeros((vocabulary, vocabulary))
    for text in texts:
        for i, a in enumerate(text):
            for b in text[i + 1 : i + 6]:
                counts[a, b] += 1
                counts[b, a] += 1
    return counts


@given(TEXTS)
def test_pairs_are_counted_within_five_places_and_within_a_text(texts: list[np.ndarray]) -> None:
    assert (count_pairs(texts, 20).toarray() == counted_slowly(texts, 20)).all()


def test_counting_in_pieces_is_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [np.random.default_rng(i).integers(0, 20, 7).astype(np.int32) for i in range(30)]
    monkeypatch.setattr(vectors, "_AT_ONCE", 20)
    assert (count_pairs(texts, 20).toarray() == counted_slowly(texts, 20)).all()


def test_information_is_positive_and_zero_where_nothing_was_seen() -> None:
    information = positive_information(count_pairs([np.array([1, 2, 3], np.int32)], 5)).toarray()
    assert information.min() == 0
    assert not information[0].any()


def test_tokens_with_the_same_neighbours_are_alike() -> None:
    numbers = np.random.default_rng(0)
    # 1 and 2 stand among 10..14, 3 and 4 among 15..19
    texts = [
        np.array([*numbers.choice(np.arange(low, low + 5), 3), numbers.choice(pair), low], np.int32)
        for low, pair in [(10, (1, 2)), (15, (3, 4))]
        for _ in range(200)
    ]
    found = token_vectors(texts, vocabulary=25, width=8, seed=1)
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    assert unit[1] @ unit[2] > 0.8
    assert unit[3] @ unit[4] > 0.8
    assert abs(unit[1] @ unit[3]) < 0.3
    assert np.isfinite(found).all()
    assert (found == token_vectors(texts, vocabulary=25, width=8, seed=1)).all()
    assert np.abs(found[22]).max() < 1  # in no text


def test_a_vocabulary_smaller_than_the_width_is_no_error() -> None:
    found = token_vectors([np.array([1, 2, 3, 1], np.int32)], vocabulary=5, width=16, seed=1)
    assert found.shape == (5, 16)
