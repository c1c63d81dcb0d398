"""A unigram model: pieces that pay stay, and their scores are logarithms of shares."""

import json
import math
from typing import Any

import pytest

from model_build.sections import NetworkConfig
from model_build.training.tokenizer import SPECIAL_TOKENS, train_tokenizer

TEXTS = ["unhappy happy unhappy happiness", "friendly unfriendly friendliness", "电影好看 电影难看"] * 30


def model(vocabulary: int = 300) -> dict[str, Any]:
    config = NetworkConfig(kind="pooled", tokenizer="unigram", vocabulary=vocabulary)
    return dict(json.loads(train_tokenizer(TEXTS, config)[0].to_str())["model"])


def test_the_model_is_one_that_serving_knows() -> None:
    found = model()
    assert (found["type"], found["unk_id"]) == ("Unigram", 1)
    assert [piece for piece, _ in found["vocab"][:4]] == list(SPECIAL_TOKENS)


def test_scores_fall_and_are_logarithms_of_shares() -> None:
    scores = [score for _, score in model()["vocab"][len(SPECIAL_TOKENS) :]]
    assert scores == sorted(scores, reverse=True)
    assert sum(map(math.exp, scores)) == pytest.approx(1, abs=0.1)  # pieces that never occur have a little as well


def test_frequent_words_become_one_piece_and_every_character_stays() -> None:
    pieces = {piece for piece, _ in model()["vocab"]}
    assert {"happy", "friendly", "电影"} <= pieces
    assert set("".join(TEXTS).replace(" ", "")) <= pieces
