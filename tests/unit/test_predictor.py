"""Answers that company does not change, and golden examples that must be reproduced."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.artifact import Golden
from slipway.errors import ArtifactError
from slipway.loading import load_predictor
from slipway.predictor import Predictor

_words = st.sampled_from(["good", "superb", "bad", "awful", "film", "plot", "the", "very", "unheard", "filler7", "🎉"])
_texts = st.lists(_words, min_size=1, max_size=40).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(_texts, min_size=2, max_size=32))
def test_a_text_has_the_same_probabilities_alone_and_among_31_others(predictor: Predictor, texts: list[str]) -> None:
    for text, among in zip(texts, predictor.predict(texts), strict=True):
        (alone,) = predictor.predict([text])
        assert np.abs(alone.probabilities - among.probabilities).max() <= 1e-5
        assert (alone.tokens, alone.truncated) == (among.tokens, among.truncated)


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(_texts, min_size=2, max_size=20, unique=True), seed=st.randoms())
def test_the_order_of_the_answers_is_the_order_of_the_texts(predictor: Predictor, texts: list[str], seed: Any) -> None:
    straight = dict(zip(texts, predictor.predict(texts), strict=True))
    seed.shuffle(texts)
    for text, answer in zip(texts, predictor.predict(texts), strict=True):
        assert np.abs(answer.probabilities - straight[text].probabilities).max() <= 1e-5


def test_the_tiny_model_knows_good_from_bad(predictor: Predictor) -> None:
    good, bad = predictor.predict(["a lovely superb moving film", "a boring awful dull film"])
    labels = predictor.manifest.labels
    assert labels[int(good.probabilities.argmax())] == "positive"
    assert labels[int(bad.probabilities.argmax())] == "negative"


def test_two_threads_answer_as_one_does(tiny_artifact: Path, predictor: Predictor) -> None:
    threaded = load_predictor(tiny_artifact, threads=2)
    texts = [f"the film was {'very ' * (i % 29)} good filler{i}" for i in range(300)]
    for one, two in zip(predictor.predict(texts), threaded.predict(texts), strict=True):
        assert np.abs(one.probabilities - two.probabilities).max() <= 1e-6


def test_no_texts_give_no_predictions(predictor: Predictor) -> None:
    assert predictor.predict([]) == []


def test_a_text_that_is_too_long_is_answered_and_says_so(predictor: Predictor) -> None:
    (answer,) = predictor.predict(["film " * 100])
    assert (answer.truncated, answer.tokens) == (True, 102)
    assert answer.probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_every_variant_reproduces_its_golden_examples(tiny_artifact: Path) -> None:
    for variant in ("int8", "fp32"):
        load_predictor(tiny_artifact, variant)


def _with_golden(predictor: Predictor, golden: Golden) -> Predictor:
    manifest = dataclasses.replace(predictor.manifest, golden=[*predictor.manifest.golden, golden])
    return Predictor(predictor._network, predictor.encoder, manifest)


def test_a_changed_golden_probability_is_refused(predictor: Predictor) -> None:
    golden = predictor.manifest.golden[0]
    tolerance = predictor.manifest.tolerances["int8"]
    for shift, refused in ((tolerance * 1.5, True), (-tolerance * 1.5, True), (tolerance * 0.5, False)):
        moved = [value + shift for value in golden.probabilities["int8"]]
        changed = golden._replace(probabilities={**golden.probabilities, "int8": moved})
        if refused:
            with pytest.raises(ArtifactError, match=r"^model\.int8\.onnx .* a probability differs"):
                _with_golden(predictor, changed).replay_golden("int8")
        else:
            _with_golden(predictor, changed).replay_golden("int8")


def test_a_limited_replay_classifies_the_shortest_and_encodes_all(predictor: Predictor) -> None:
    longest = max(predictor.manifest.golden, key=lambda golden: len(golden.token_ids))
    wrong = longest._replace(probabilities={"int8": longest.probabilities["int8"][::-1]})
    _with_golden(predictor, wrong).replay_golden("int8", tokens=len(longest.token_ids) - 1)
    for tokens in (None, 10_000):
        with pytest.raises(ArtifactError, match="a probability differs"):
            _with_golden(predictor, wrong).replay_golden("int8", tokens=tokens)
    changed = longest._replace(token_ids=[*longest.token_ids[:-1], 4])
    with pytest.raises(ArtifactError, match="token ids differ"):
        _with_golden(predictor, changed).replay_golden("int8", tokens=1)


def test_a_limited_replay_classifies_at_least_one(predictor: Predictor) -> None:
    shortest = min(predictor.manifest.golden, key=lambda golden: len(golden.token_ids))
    wrong = shortest._replace(probabilities={"int8": shortest.probabilities["int8"][::-1]})
    manifest = dataclasses.replace(predictor.manifest, golden=[wrong])
    with pytest.raises(ArtifactError, match="a probability differs"):
        Predictor(predictor._network, predictor.encoder, manifest).replay_golden("int8", tokens=0)


def test_changed_golden_token_ids_are_refused(predictor: Predictor) -> None:
    golden = predictor.manifest.golden[0]
    changed = golden._replace(token_ids=[*golden.token_ids[:-1], 4])
    with pytest.raises(ArtifactError, match=r"^tokenizer\.json .* token ids differ"):
        _with_golden(predictor, changed).replay_golden("int8")


def test_a_golden_probability_that_is_no_number_is_refused(predictor: Predictor) -> None:
    golden = predictor.manifest.golden[0]
    changed = golden._replace(probabilities={"int8": [float("nan")] * 2})
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx"):
        _with_golden(predictor, changed).replay_golden("int8")
