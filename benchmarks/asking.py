"""How each server documents that it is asked one text over HTTP, and where its answer has the probabilities."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Dialect(NamedTuple):
    """``body`` makes the document of one text; ``scores`` finds in an answer all probabilities, in any order."""

    path: str
    body: Callable[[str], Any]
    scores: Callable[[Any], Sequence[float]]


def invocations() -> Dialect:
    """SageMaker's path with V1's body, which ours reads."""
    return Dialect(
        "/invocations",
        lambda text: {"instances": [text]},
        lambda answer: list(answer["predictions"][0]["scores"].values()),
    )


def open_inference(model: str) -> Dialect:
    """V2's path and body, which ours and Triton read alike."""
    return Dialect(f"/v2/models/{model}/infer", _tensor, _scores)


def predict() -> Dialect:
    """LitServe's own path with the body that our API for it reads."""
    return Dialect("/predict", lambda text: {"text": text}, lambda answer: answer["scores"])


def _tensor(text: str) -> dict[str, Any]:
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": [text]}]}


def _scores(answer: Any) -> Sequence[float]:
    (data,) = (output["data"] for output in answer["outputs"] if output["name"] == "scores")
    return list(data)
