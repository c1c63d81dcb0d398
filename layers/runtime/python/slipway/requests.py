"""What a caller asks, whatever the dialect: texts and parameters, and the checks that all dialects share.

Errors name the field and what is wrong with it, and never quote a value: it may be somebody's text.
"""

import codecs
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict, get_args

from slipway.errors import InvalidRequest, MalformedRequest, RequestTooLarge, UnsupportedMedia

Truncation = Literal["right", "left", "error", "windows"]
TRUNCATIONS: tuple[Truncation, ...] = get_args(Truncation)

JSON = "application/json"
_READ_AS_JSON = {JSON, "application/x-www-form-urlencoded", "text/plain"}
_FEWER = "Send fewer or shorter texts in one request, or upload a file for batch scoring."


@dataclass(frozen=True, slots=True)
class Parameters:
    """How to answer. ``top_k`` limits the labels in ``scores``, None gives all of them.

    ``raw_scores`` asks for logits instead of probabilities. Below the probability ``abstain_below`` no label is given.
    """

    truncation: Truncation = "right"
    top_k: int | None = None
    raw_scores: bool = False
    abstain_below: float = 0.0


class ParameterValues(TypedDict, total=False):
    """``Parameters`` as they are sent."""

    truncate: Truncation
    top_k: int | None
    raw_scores: bool
    abstain_below: float


class PredictRequest(NamedTuple):
    """At least one text. ``source`` is what the dialect calls their list, for errors: ``source[3]`` is the fourth."""

    texts: list[str]
    parameters: Parameters
    source: str


class Limits(NamedTuple):
    """Bounds of one request that can be told before any text is encoded."""

    body_bytes: int
    instances: int


def check_content_type(header: str | None) -> None:
    """Refuse what says that it is not JSON in UTF-8.

    ``application/x-www-form-urlencoded`` passes: `curl -d` sends it unasked, as in TF-Serving's own examples.
    """
    if header == JSON:
        return
    kind, _, parameters = (header or JSON).lower().partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if not (kind.strip() in _READ_AS_JSON or kind.strip().endswith("+json")) or charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMedia(f"The content type {header!r} is not read here.", remedy=f"Send {JSON} in UTF-8.")


def check_size(body: bytes, limits: Limits) -> None:
    """Raises RequestTooLarge."""
    if len(body) > limits.body_bytes:
        raise RequestTooLarge(f"The body has {len(body):,} bytes; {limits.body_bytes:,} fit.", remedy=_FEWER)


def check_tokens(tokens: int, most: int, source: str) -> None:
    """Raises RequestTooLarge where the texts of one request take more than ``most`` tokens to compute."""
    if tokens > most:
        raise RequestTooLarge(
            f"The texts have {tokens:,} tokens; {most:,} fit into one request.",
            field=source,
            remedy="Send fewer or shorter texts in one request.",
        )


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``. Raises MalformedRequest or InvalidRequest."""
    try:
        document = _loads(body.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedRequest(
            f"The body is not JSON: {error.msg} at {where}.", remedy="Check quotes and commas."
        ) from error
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits; thousands of nested brackets
        raise MalformedRequest("The body is JSON that nobody sends: its numbers or its nesting have no end.") from error
    if not isinstance(document, dict):
        raise InvalidRequest(f"The body must be a JSON object, not {named(document)}.", remedy="Send {…}.")
    return document


def read_texts(values: Any, source: str, limits: Limits, read: Callable[[Any, str], str] | None = None) -> list[str]:
    """A list of at least one text; ``read`` takes a text out of an item, whose field is its second argument."""
    if not isinstance(values, list) or not values:
        raise InvalidRequest(
            f"{source} must be a list of at least one text, not {named(values)}.",
            field=source,
            remedy=f'Send {{"{source}": ["a text"]}}.',
        )
    if len(values) > limits.instances:
        raise RequestTooLarge(
            f"{len(values):,} texts were sent; {limits.instances:,} fit.", field=source, remedy=_FEWER
        )
    read = read or read_text
    return [read(value, f"{source}[{row}]") for row, value in enumerate(values)]


def read_text(value: Any, field: str) -> str:
    """Raises InvalidRequest for what is no text, empty, or takes no tokenizer."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{field} must be a text, not {named(value)}.", field=field, remedy='Send "…".')
    if not value.strip():
        raise InvalidRequest(f"{field} is empty.", field=field, remedy="Leave empty texts out.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"{field} has half of a surrogate pair at character {error.start}: that is no Unicode text.",
            field=field,
            remedy="Cut texts between characters, not inside an escaped emoji.",
        ) from error
    return value


def read_parameters(values: Any, field: str = "parameters", *, known: tuple[str, ...] = ()) -> Parameters:
    """The parameters that every dialect has; ``known`` are others that the dialect reads itself."""
    if not isinstance(values, dict):
        raise InvalidRequest(f"{field} must be an object, not {named(values)}.", field=field)
    only(values, (*_PARAMETERS, *known), f"{field}.")
    return Parameters(
        truncation=_choice(values.get("truncate", "right"), f"{field}.truncate"),
        top_k=_count(values.get("top_k"), f"{field}.top_k"),
        raw_scores=read_flag(values.get("raw_scores", False), f"{field}.raw_scores"),
        abstain_below=_share(values.get("abstain_below", 0.0), f"{field}.abstain_below"),
    )


def read_flag(value: Any, field: str) -> bool:
    """Raises InvalidRequest for what is neither true nor false."""
    if not isinstance(value, bool):
        raise InvalidRequest(f"{field} must be true or false, not {named(value)}.", field=field)
    return value


def only(document: dict[str, Any], known: tuple[str, ...], prefix: str = "") -> None:
    """Raises InvalidRequest for a member that is not ``known``: a misspelled one would silently do nothing."""
    if document.keys() <= set(known):
        return
    unknown = next(key for key in document if key not in known)
    field = prefix + unknown[:40].encode("utf-8", "backslashreplace").decode()
    raise InvalidRequest(f"{field!r} is not a known field.", field=field, remedy=f"Known: {', '.join(known)}.")


def named(value: Any) -> str:
    """What a value is, without its content."""
    if value == [] and isinstance(value, list):
        return "an empty list"
    return _KINDS.get(type(value), "null")


def _loads(text: str) -> Any:
    """As ``json.loads``, which takes as long to look for spaces around a document as to read a short one."""
    if text.startswith("{"):
        document, end = _decode(text)
        if end == len(text):
            return document
    return json.loads(text)


_decode = json.JSONDecoder().raw_decode
_PARAMETERS = tuple(ParameterValues.__annotations__)
_KINDS = {
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def _choice(value: Any, field: str) -> Truncation:
    if value not in TRUNCATIONS:
        raise InvalidRequest(f"{field} must be one of {', '.join(TRUNCATIONS)}, not {named(value)}.", field=field)
    return value  # type: ignore[no-any-return]


def _count(value: Any, field: str) -> int | None:
    if isinstance(value, float) and value.is_integer():  # 2.0 is a whole number in JSON
        value = int(value)
    if value is not None and (type(value) is not int or value < 1):
        raise InvalidRequest(f"{field} must be a whole number from 1, not {named(value)}.", field=field)
    return value


def _share(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidRequest(f"{field} must be a number from 0 to 1, not {named(value)}.", field=field)
    return float(value)
