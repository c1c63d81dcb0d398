"""Answers: raw scores, abstention, and the labels that apply."""

from dataclasses import replace

import numpy as np
import pytest

from slipway.answers import answer
from slipway.predictor import Prediction, Predictor
from slipway.requests import Parameters


def prediction(*chances: float) -> Prediction:
    probabilities = np.array(chances, np.float32)
    return Prediction(np.log(probabilities), probabilities, tokens=3, truncated=False)


def test_raw_scores_are_the_logits_in_the_same_order(predictor: Predictor) -> None:
    (found,) = answer([prediction(0.25, 0.75)], predictor.manifest, Parameters(raw_scores=True))
    assert [label for label, _ in found.scores] == ["positive", "negative"]
    assert [score for _, score in found.scores] == pytest.approx(np.log([0.75, 0.25]))
    assert found.score == found.scores[0][1]


def test_below_the_asked_probability_there_is_no_label(predictor: Predictor) -> None:
    for threshold, label in ((0.75, "positive"), (0.76, None)):
        (found,) = answer([prediction(0.25, 0.75)], predictor.manifest, Parameters(abstain_below=threshold))
        assert (found.label, found.scores[0]) == (label, ("positive", 0.75))


def test_in_a_multi_label_task_those_from_one_half_apply(predictor: Predictor) -> None:
    manifest = replace(predictor.manifest, task="multi-label", labels=["a", "b", "c"])
    for threshold, applying, label in ((0.0, ["b", "c"], "b"), (0.6, ["b"], "b"), (0.95, [], None)):
        (found,) = answer([prediction(0.1, 0.9, 0.5)], manifest, Parameters(abstain_below=threshold))
        assert (found.applying, found.label) == (applying, label)


def test_windows_count_by_their_mean(predictor: Predictor) -> None:
    text = "a superb film " * 20
    (encoded,) = predictor.encoder.encode([text], truncation="windows")
    assert len(encoded.windows) > 1
    (whole,) = predictor.predict([text], truncation="windows")
    parts = [encoded._replace(windows=(window,)) for window in encoded.windows]
    mean = np.mean([part.logits for part in predictor.classify(parts)], axis=0)
    np.testing.assert_allclose(whole.logits, mean, atol=1e-5)
