"""Predictions as answers that every dialect renders: labels by name, in order, cut and abstained from as asked."""

from collections.abc import Sequence
from typing import NamedTuple

from slipway.artifact import Manifest
from slipway.predictor import Prediction
from slipway.requests import Parameters


class Answer(NamedTuple):
    """One text's answer. ``scores`` has pairs of label and score, the highest first.

    ``label`` is None where the model abstains. In a multi-label task ``applying`` has the labels that apply, possibly
    none, and ``label`` is the likeliest all the same; otherwise ``applying`` is None. Scores are logits if the request
    asked for raw ones.
    """

    label: str | None
    score: float
    scores: list[tuple[str, float]]
    applying: list[str] | None
    tokens: int
    truncated: bool


def answer(
    predictions: Sequence[Prediction], manifest: Manifest, parameters: Parameters, *, ranked: bool = True
) -> list[Answer]:
    """One answer a prediction, in order. Who needs no ``scores`` has them empty if not ``ranked``, and is faster."""
    if not ranked and manifest.task == "single-label":
        return [_likeliest(prediction, manifest.labels, parameters) for prediction in predictions]
    return [_answer(prediction, manifest, parameters) for prediction in predictions]


def _likeliest(prediction: Prediction, labels: Sequence[str], parameters: Parameters) -> Answer:
    chances = prediction.probabilities.tolist()
    chance = max(chances)
    first = chances.index(chance)
    score = prediction.logits.tolist()[first] if parameters.raw_scores else chance
    label = labels[first] if chance >= parameters.abstain_below else None
    return Answer(label, score, [], None, prediction.tokens, prediction.truncated)


def _answer(prediction: Prediction, manifest: Manifest, parameters: Parameters) -> Answer:
    labels, chances = manifest.labels, prediction.probabilities.tolist()
    order = sorted(range(len(labels)), key=chances.__getitem__, reverse=True)
    values = prediction.logits.tolist() if parameters.raw_scores else chances
    first = order[0]
    applying = None
    if manifest.task == "multi-label":
        least = max(0.5, parameters.abstain_below)
        applying = [labels[i] for i in order if chances[i] >= least]
    return Answer(
        label=labels[first] if chances[first] >= parameters.abstain_below else None,
        score=values[first],
        scores=[(labels[i], values[i]) for i in order[: parameters.top_k]],
        applying=applying,
        tokens=prediction.tokens,
        truncated=prediction.truncated,
    )
