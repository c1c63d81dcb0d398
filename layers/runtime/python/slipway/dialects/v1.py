"""TF-Serving's REST dialect, V1: ``{"instances": ["…", {"text": "…"}], "parameters": {…}}``.

Its format is TensorFlow Serving's "RESTful API"; ``parameters`` and what an answer says beside the label are ours.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

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
    read_json,
    read_parameters,
    read_text,
    read_texts,
)

if TYPE_CHECKING:
    from slipway.explain import Explanation

_SOURCE = "instances"


class Instance(TypedDict):
    """A text by its name, as clients of a signature send it."""

    text: str


class V1Request(TypedDict):
    """``signature_name`` is accepted and ignored: there is one."""

    instances: list[str | Instance]
    parameters: NotRequired[ParameterValues]
    signature_name: NotRequired[str]


class ExplainParameters(ParameterValues, total=False):
    """A text is explained from its beginning."""

    truncate: Literal["right"]  # type: ignore[misc]  # narrower than of a prediction


class ExplainRequest(TypedDict):
    """As ``V1Request``."""

    instances: list[str | Instance]
    parameters: NotRequired[ExplainParameters]
    signature_name: NotRequired[str]


class V1Prediction(TypedDict):
    """``labels`` (those that apply) is there in a multi-label task, ``abstained`` where no label is given."""

    label: str | None
    score: float
    scores: dict[str, float]
    tokens: int
    truncated: bool
    labels: NotRequired[list[str]]
    abstained: NotRequired[bool]


class V1Answer(TypedDict):
    """``backend`` says what computed it: cpu-int8, cpu-fp32."""

    predictions: list[V1Prediction]
    model_version: str
    backend: str


class WordWeight(TypedDict):
    """``start`` and ``end`` count code points; ``weight`` is what the label ``about`` loses without the word."""

    word: str
    start: int
    end: int
    weight: float


class V1Explanation(V1Prediction):
    """A prediction, and what each word did to the label ``about``."""

    about: str
    words: list[WordWeight]


class V1Explained(TypedDict):
    """The answer of ``:explain``."""

    explanations: list[V1Explanation]
    model_version: str
    backend: str


class VersionCode(TypedDict):
    """As TF-Serving's ``StatusProto``."""

    error_code: str
    error_message: str


class VersionState(TypedDict):
    """``labels`` are the version's own: live, canary, shadow."""

    version: str
    state: str
    status: VersionCode
    labels: NotRequired[list[str]]


class ModelStatus(TypedDict):
    """The answer of ``GET /v1/models/<model>``."""

    model_version_status: list[VersionState]


_MEMBERS = tuple(V1Request.__annotations__)
_DEFAULTS = Parameters()


def parse(body: bytes, limits: Limits) -> PredictRequest:
    """Raises a RequestError that names the field, what is wrong with it, and the remedy."""
    check_size(body, limits)
    document = read_json(body)
    only(document, _MEMBERS)
    if not isinstance(name := document.get("signature_name", ""), str):
        raise InvalidRequest(f"signature_name must be a text, not {named(name)}.", field="signature_name")
    texts = read_texts(document.get(_SOURCE), _SOURCE, limits, _text)
    parameters = read_parameters(document["parameters"]) if "parameters" in document else _DEFAULTS
    return PredictRequest(texts, parameters, _SOURCE)


def render(answers: Sequence[Answer]) -> list[V1Prediction]:
    """The member ``predictions`` of the answer."""
    return [_render(answer) for answer in answers]


def read(prediction: Mapping[str, Any]) -> Answer:
    """The answer that ``render`` made a prediction of.

    Raises ValueError, KeyError, TypeError, AttributeError or OverflowError for anything else.
    """
    label = prediction["label"]
    if not (label is None or isinstance(label, str)):
        raise TypeError("a label is a text, or null where there is none")
    return Answer(
        label=label,
        score=_finite(prediction["score"]),
        # from the highest down, as they were rendered
        scores=[(name, _finite(score)) for name, score in prediction["scores"].items()],
        applying=prediction.get("labels"),
        tokens=int(prediction["tokens"]),
        truncated=bool(prediction["truncated"]),
    )


def _finite(score: Any) -> float:
    """JSON has no NaN, and Python's reads and writes it all the same: it must not get to a caller."""
    number = float(score)
    if not math.isfinite(number):
        raise ValueError("a score is a finite number")
    return number


def render_explanation(answer: Answer, explanation: "Explanation", text: str, manifest: Manifest) -> V1Explanation:
    """One entry of the member ``explanations``."""
    words: list[WordWeight] = [
        {"word": text[word.start : word.end], "start": word.start, "end": word.end, "weight": word.weight}
        for word in explanation.words
    ]
    return {**_render(answer), "about": manifest.labels[explanation.label], "words": words}


def state(
    version: str, status: str, code: str = "OK", message: str = "", *, labels: Sequence[str] = ()
) -> VersionState:
    """One entry of ``model_version_status``."""
    entry: VersionState = {
        "version": version,
        "state": status,
        "status": {"error_code": code, "error_message": message},
    }
    return entry | {"labels": list(labels)} if labels else entry


def metadata(manifest: Manifest) -> dict[str, Any]:
    """The answer of ``GET /v1/models/<model>/metadata``: the one signature that TF-Serving's clients look for."""
    scores = {label: {"dtype": "DT_FLOAT"} for label in manifest.labels}
    signature = {
        "inputs": {"text": {"dtype": "DT_STRING", "tensor_shape": {"dim": [{"size": "-1"}]}}},
        "outputs": {"label": {"dtype": "DT_STRING"}, "score": {"dtype": "DT_FLOAT"}, "scores": scores},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": manifest.model, "signature_name": "", "version": manifest.version},
        "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
    }


def _text(instance: Any, field: str) -> str:
    if isinstance(instance, dict):
        only(instance, ("text",), f"{field}.")
        return read_text(instance.get("text"), f"{field}.text")
    return read_text(instance, field)


def _render(answer: Answer) -> V1Prediction:
    prediction: V1Prediction = {
        "label": answer.label,
        "score": answer.score,
        "scores": dict(answer.scores),
        "tokens": answer.tokens,
        "truncated": answer.truncated,
    }
    if answer.applying is not None:
        prediction["labels"] = answer.applying
    if answer.label is None:
        prediction["abstained"] = True
    return prediction
