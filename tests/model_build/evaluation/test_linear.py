"""N-grams of any script, and regressions of few labels, of many, and of none worth the name."""

import numpy as np
import pytest

from model_build.evaluation.linear import Ngrams, fit_linear

TEXTS = ["good film", "bad film", "good plot", "bad plot", "fine music", "dull music"] * 10


def features_of(texts: list[str]) -> np.ndarray:
    return Ngrams(texts).fit(texts)


def test_words_and_characters_or_characters_alone() -> None:
    assert Ngrams(["a good film"]).kind == "1 to 2 words, 2 to 5 characters"
    assert Ngrams(["这部电影很好看"]).kind == "1 to 3 characters"


@pytest.mark.parametrize("texts", [["a b", "c d"], ["!", "?"], ["😀"], ["好", "坏"], ["x" * 30_000, "y"]])
def test_texts_that_share_nothing_have_features_all_the_same(texts: list[str]) -> None:
    ngrams = Ngrams(texts)
    fitted = ngrams.fit(texts)
    assert fitted.shape[0] == len(texts)
    assert fitted.shape[1] > 0
    assert ngrams.transform(["never seen before", ""]).shape == (2, fitted.shape[1])


@pytest.mark.parametrize("labels", [2, 3, 60])
def test_single_labels_are_learnt_by_one_regression_or_by_one_each(labels: int) -> None:
    targets = np.arange(len(TEXTS)) % 6 % min(labels, 3)
    features = features_of(TEXTS)
    scores = fit_linear(features, targets, labels, 4.0, 1)(features)
    assert scores.shape == (len(TEXTS), labels)
    assert (scores.argmax(1) == targets).mean() > 0.95


@pytest.mark.parametrize("labels", [3, 60])
def test_label_sets_are_learnt_label_by_label(labels: int) -> None:
    targets = np.zeros((len(TEXTS), labels), np.uint8)
    targets[:, 0] = ["good" in text for text in TEXTS]
    targets[:, 1] = 1
    features = features_of(TEXTS)
    answers = fit_linear(features, targets, labels, 4.0, 1)(features) >= 0
    np.testing.assert_array_equal(answers, targets == 1)


@pytest.mark.parametrize("labels", [2, 4, 60])
def test_a_training_split_with_one_label_answers_it(labels: int) -> None:
    features = features_of(TEXTS)
    scores = fit_linear(features, np.ones(len(TEXTS), np.int64), labels, 1.0, 1)(features)
    assert set(scores.argmax(1).tolist()) == {1}


def test_a_label_without_training_texts_is_never_the_answer() -> None:
    features = features_of(TEXTS)
    scores = fit_linear(features, np.arange(len(TEXTS)) % 2 * 2, 4, 1.0, 1)(features)
    assert set(scores.argmax(1).tolist()) <= {0, 2}
