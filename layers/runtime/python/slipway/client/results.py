"""What the API answers, as typed values."""

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from slipway.client.errors import BadAnswer

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Prediction:
    """One text's answer, as ``slipway.answers`` makes it.

    ``label`` is None where the model abstains. ``scores`` has the highest first. ``labels`` are those that apply in a
    multi-label task, possibly none; in a single-label task it is None.
    """

    label: str | None
    score: float
    scores: dict[str, float]
    tokens: int
    truncated: bool
    labels: tuple[str, ...] | None
    model_version: str
    backend: str

    @property
    def abstained(self) -> bool:
        """No label was likely enough for ``abstain_below``."""
        return self.label is None


@dataclass(frozen=True, slots=True)
class Word:
    """``text`` is the part from ``start`` to ``end``; ``weight`` is what the label's probability loses without it."""

    text: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which words mattered for the label ``about``, in the text's order."""

    prediction: Prediction
    about: str
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class BatchState:
    """A file's job. ``rows`` is None until it was looked through. ``results`` and ``errors_key`` are in ``bucket``.

    ``state`` is ``waiting for the upload``, ``planning``, ``running``, ``finished`` or ``failed``, for a ``reason``.
    """

    id: str
    state: str
    rows: int | None
    rows_done: int
    errors: int
    bucket: str
    results: tuple[str, ...]
    errors_key: str
    reason: str

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("finished", "failed")


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version in a function's memory. ``labels`` are live, canary, shadow; ``reason`` says why one is refused."""

    version: str
    state: str
    labels: tuple[str, ...]
    reason: str

    @property
    def available(self) -> bool:
        """It answers."""
        return self.state == "AVAILABLE"


def read_predictions(body: bytes, count: int) -> list[Prediction]:
    """Raises BadAnswer unless there are ``count`` of them."""
    answer = _read(body)
    return [_prediction(node, answer) for node in _counted(answer.get("predictions"), count)]


def read_explanation(body: bytes) -> Explanation:
    """Raises BadAnswer for anything but one explanation."""
    answer = _read(body)
    (node,) = _counted(answer.get("explanations"), 1)
    words = tuple(_word(word) for word in node.get("words").items())
    return Explanation(_prediction(node, answer), node.get("about").be(str), words)


def read_upload(body: bytes) -> tuple[str, str]:
    """A job's id and the address for its file. Raises BadAnswer."""
    answer = _read(body)
    return answer.get("id").be(str), answer.get("upload").get("url").be(str)


def read_batch(body: bytes) -> BatchState:
    """Raises BadAnswer for anything but the state of a job."""
    answer = _read(body)
    results, rows, errors = answer.get("results"), answer.get("rows"), answer.get("errors")
    return BatchState(
        id=answer.get("id").be(str),
        state=answer.get("state").be(str),
        rows=None if rows.value is None else rows.be(int),
        rows_done=answer.get("rows_done").be(int),
        errors=0 if errors.value is None else errors.be(int),
        bucket=answer.get("bucket").be(str),
        results=() if results.value is None else results.texts(),
        errors_key=answer.get("errors_key").text_or_none(),
        reason=answer.get("reason").text_or_none(),
    )


def read_versions(body: bytes) -> list[ModelVersion]:
    """Raises BadAnswer for anything but a model status."""
    return [_version(node) for node in _read(body).get("model_version_status").items()]


@dataclass(frozen=True, slots=True)
class _Node:
    """A value of the answer and where in it: errors name the place and never the value."""

    value: Any
    path: str = ""

    def get(self, name: str) -> "_Node":
        return _Node(self.be(dict).get(name), f"{self.path}.{name}".lstrip("."))

    def items(self) -> list["_Node"]:
        return [_Node(value, f"{self.path}[{i}]") for i, value in enumerate(self.be(list))]

    def texts(self) -> tuple[str, ...]:
        return tuple(node.be(str) for node in self.items())

    def text_or_none(self) -> str:
        return "" if self.value is None else self.be(str)

    def number(self) -> float:
        return float(self.value if type(self.value) is int else self.be(float))

    def be(self, kind: type[_T]) -> _T:
        if type(self.value) is not kind:  # True is an int, and here it is none
            where = self.path or "the answer"
            raise _bad(f"{where} is {type(self.value).__name__}, not {kind.__name__}")
        return self.value


def _read(body: bytes) -> _Node:
    try:
        return _Node(json.loads(body))
    except (ValueError, RecursionError):
        raise _bad(f"its {len(body):,} bytes are not JSON") from None  # the cause would hold them


def _counted(node: _Node, count: int) -> list[_Node]:
    nodes = node.items()
    if len(nodes) != count:
        raise _bad(f"{node.path} has {len(nodes):,} entries for {count:,} texts")
    return nodes


def _prediction(node: _Node, answer: _Node) -> Prediction:
    label, labels, scores = node.get("label"), node.get("labels"), node.get("scores")
    return Prediction(
        label=None if label.value is None and node.get("abstained").value is True else label.be(str),
        score=node.get("score").number(),
        scores={name: scores.get(name).number() for name in scores.be(dict)},
        tokens=node.get("tokens").be(int),
        truncated=node.get("truncated").be(bool),
        labels=None if labels.value is None else labels.texts(),
        model_version=answer.get("model_version").be(str),
        backend=answer.get("backend").be(str),
    )


def _word(node: _Node) -> Word:
    return Word(
        text=node.get("word").be(str),
        start=node.get("start").be(int),
        end=node.get("end").be(int),
        weight=node.get("weight").number(),
    )


def _version(node: _Node) -> ModelVersion:
    labels = node.get("labels")
    return ModelVersion(
        version=node.get("version").be(str),
        state=node.get("state").be(str),
        labels=() if labels.value is None else labels.texts(),
        reason=node.get("status").get("error_message").be(str),
    )


def _bad(what: str) -> BadAnswer:
    return BadAnswer(
        f"The answer has status 200 and is not this API's: {what}.",
        remedy="Check the URL, and that client and service are of one release.",
        status=200,
    )
