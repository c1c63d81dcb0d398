"""Texts → bodies of requests, each under the limits that the service states."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.client.errors import NotSent
from slipway.settings import Settings

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Part:
    """The texts of one request, each as JSON; ``first`` is the row of the first one."""

    first: int
    texts: tuple[bytes, ...]

    def halves(self) -> tuple["Part", "Part"]:
        """Two parts of about as many texts; there must be more than one."""
        middle = len(self.texts) // 2
        return Part(self.first, self.texts[:middle]), Part(self.first + middle, self.texts[middle:])


class Splitter:
    """Cuts texts into parts of at most ``size`` texts, whose bodies have at most ``max_bytes``."""

    def __init__(
        self, parameters: Mapping[str, Any], *, size: int = 1, max_bytes: int = Settings.max_body_bytes
    ) -> None:
        if not 1 <= size <= Settings.max_instances:
            raise NotSent(
                f"size is {size!r}.", field="size", remedy=f"Give a number from 1 to {Settings.max_instances}."
            )
        self.size = size
        self._frame = b'{"instances":[', b'],"parameters":' + _encode_parameters(parameters) + b"}"
        self._room = max_bytes - sum(map(len, self._frame))

    def split(self, texts: Iterable[str]) -> Iterator[Part]:
        """All texts in order, each once, read only as far as parts are asked for.

        Raises NotSent for the first text that cannot be sent, after the part before it.
        """
        held: list[bytes] = []
        first, used = 0, 0
        for row, text in enumerate(texts):
            try:
                encoded = _encode_text(text, row, self._room)
            except NotSent:
                if held:
                    yield Part(first, tuple(held))
                raise
            if held and used + len(encoded) > self._room:
                yield Part(first, tuple(held))
                first, held, used = row, [], 0
            held.append(encoded)
            used += len(encoded) + 1  # and a comma
            if len(held) >= self.size:
                yield Part(first, tuple(held))
                first, held, used = row + 1, [], 0
        if held:
            yield Part(first, tuple(held))

    def body(self, part: Part) -> bytes:
        """The request's body, in the V1 dialect."""
        before, after = self._frame
        return before + b",".join(part.texts) + after

    def shrink(self, size: int) -> None:
        """From now on at most ``size`` texts in a part: the service says that it was more than fits."""
        self.size = min(self.size, size)


def _encode_parameters(parameters: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(parameters, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise NotSent(f"A parameter cannot be said in JSON: {error}.", field="parameters") from error


def _encode_text(text: object, row: int, room: int) -> bytes:
    field = f"texts[{row}]"
    if not isinstance(text, str):
        raise NotSent(f"{field} is {type(text).__name__}, not str.", field=field, row=row)
    if not text.strip():
        raise NotSent(f"{field} is empty.", field=field, row=row, remedy="Leave empty texts out.")
    if half := _SURROGATE.search(text):
        raise NotSent(
            f"{field} has half of a surrogate pair at character {half.start()}: that is no Unicode text.",
            field=field,
            row=row,
            remedy="Cut texts between characters, not inside an escaped emoji.",
        )
    encoded = json.dumps(text, ensure_ascii=False).encode()
    if len(encoded) > room:
        raise NotSent(
            f"{field} has {len(encoded):,} bytes; {room:,} fit into one request.",
            field=field,
            row=row,
            remedy="Send its beginning: a model reads some hundred words.",
        )
    return encoded
