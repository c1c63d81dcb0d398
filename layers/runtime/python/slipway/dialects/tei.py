"""The dialect of Hugging Face: Text Embeddings Inference's ``/predict``, and its hub's Inference API.

``{"inputs": "…"}`` is answered by a list of labels, ``{"inputs": ["…"]}`` by a list of those, as TEI does. A request
with ``parameters``, which only clients of the Inference API send, gets a list a text even for one, as there.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

from slipway.answers import Answer
from slipway.artifact import Manifest
from slipway.errors import InvalidRequest
from slipway.requests import (
    Limits,
    Parameters,
    ParameterValues,
    PredictRequest,
    check_size,
    named,
    only,
    read_flag,
    read_json,
    read_parameters,
    read_text,
    read_texts,
)

_SOURCE = "inputs"


class HubParameters(ParameterValues, total=False):
    """Parameters of the Inference API, and ours. ``none`` gives raw scores; the other two are the model's own."""

    function_to_apply: Literal["softmax", "sigmoid", "none"] | None


class TeiBody(TypedDict):
    """A text, or several; a list of one text stands for that text."""

    inputs: str | list[str | list[str]]
    truncate: NotRequired[bool | None]
    truncation_direction: NotRequired[Literal["right", "left", "Right", "Left"] | None]
    raw_scores: NotRequired[bool | None]
    parameters: NotRequired[HubParameters | None]


class LabelScore(TypedDict):
    """One label of an answer."""

    label: str
    score: float


class TeiRequest(NamedTuple):
    """``single`` is a request for one bare text, whose answer is not a list of lists."""

    request: PredictRequest
    single: bool


def parse(body: bytes, limits: Limits) -> TeiRequest:
    """Raises a RequestError that names the field, what is wrong with it, and the remedy."""
    check_size(body, limits)
    document = read_json(body)
    only(document, tuple(TeiBody.__annotations__))
    inputs = document.get(_SOURCE)
    bare = isinstance(inputs, str)
    texts = read_texts([inputs] if bare else inputs, _SOURCE, limits, _text)
    if document.get("parameters") is not None:
        return TeiRequest(PredictRequest(texts, _hub_parameters(document["parameters"]), _SOURCE), single=False)
    raw = document.get("raw_scores")
    parameters = Parameters(
        truncation=_truncation(document), raw_scores=raw is not None and read_flag(raw, "raw_scores")
    )
    return TeiRequest(PredictRequest(texts, parameters, _SOURCE), single=bare)


def render(answers: Sequence[Answer], *, single: bool) -> list[LabelScore] | list[list[LabelScore]]:
    """Labels with their scores, the highest first."""
    lists: list[list[LabelScore]] = [
        [{"label": label, "score": score} for label, score in answer.scores] for answer in answers
    ]
    return lists[0] if single else lists


def describe(manifest: Manifest, limits: Limits) -> dict[str, Any]:
    """The answer of ``GET /info``: what a client of TEI asks before it sends anything."""
    labels = {str(index): label for index, label in enumerate(manifest.labels)}
    return {
        "model_id": manifest.model,
        "model_sha": manifest.version,
        "model_dtype": manifest.serve,
        "model_type": {"classifier": {"id2label": labels, "label2id": {v: int(k) for k, v in labels.items()}}},
        "max_concurrent_requests": 1,
        "max_input_length": manifest.max_tokens,
        "max_batch_tokens": manifest.max_tokens * limits.instances,
        "max_client_batch_size": limits.instances,
        "auto_truncate": True,
        "version": manifest.version,
    }


def _labels(answer: Answer) -> list[LabelScore]:
    return [{"label": label, "score": score} for label, score in answer.scores]


def _text(value: Any, field: str) -> str:
    if isinstance(value, list):
        if len(value) == 2:
            raise InvalidRequest(
                f"{field} is a pair of texts; this model reads one text at a time.",
                field=field,
                remedy="Join the two texts into one, or send them as two inputs.",
            )
        if len(value) != 1:
            raise InvalidRequest(f"{field} must be a text, not a list of {len(value)}.", field=field)
        return read_text(value[0], f"{field}[0]")
    return read_text(value, field)


def _truncation(document: dict[str, Any]) -> Any:
    """TEI's own policy: too long a text is cut unless ``truncate`` is false."""
    direction = document.get("truncation_direction")
    name = direction.lower() if isinstance(direction, str) else "right" if direction is None else ""
    if name not in ("right", "left"):
        raise InvalidRequest(
            f"truncation_direction must be right or left, not {named(direction)}.", field="truncation_direction"
        )
    truncate = document.get("truncate")
    return name if truncate is None or read_flag(truncate, "truncate") else "error"


def _hub_parameters(values: Any) -> Parameters:
    """``function_to_apply``: softmax and sigmoid are the model's own, ``none`` are raw scores."""
    parameters = read_parameters(values, known=("function_to_apply",))
    function = values.get("function_to_apply")
    if function not in (None, "softmax", "sigmoid", "none"):
        raise InvalidRequest(
            f"parameters.function_to_apply must be softmax, sigmoid or none, not {named(function)}.",
            field="parameters.function_to_apply",
        )
    raw = parameters.raw_scores or function == "none"
    return Parameters(parameters.truncation, parameters.top_k, raw, parameters.abstain_below)
