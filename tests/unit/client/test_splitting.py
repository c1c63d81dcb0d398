"""No part is over the limits, and every text is in one of them, once and in order: the service's own parser says so."""

import json
from contextlib import suppress
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.client import NotSent
from slipway.client.splitting import Part, Splitter
from slipway.dialects import v1
from slipway.requests import Limits
from slipway.settings import Settings

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(str.strip)
LONG = st.builds(lambda text, times: text * times, TEXTS, st.integers(1, 20))


def _encoded(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()


@given(st.lists(LONG, max_size=60), st.integers(1, 12), st.integers(200, 3_000))
def test_every_text_is_sent_once_in_order_and_under_the_limits(texts: list[str], size: int, max_bytes: int) -> None:
    splitter = Splitter({"top_k": 1}, size=size, max_bytes=max_bytes)
    sent: list[str] = []
    with suppress(NotSent):
        for part in splitter.split(texts):
            assert part.first == len(sent)
            request = v1.parse(splitter.body(part), Limits(max_bytes, size))  # refuses what is over a limit
            assert request.parameters.top_k == 1
            sent += request.texts
    frame = len(splitter.body(Part(0, ())))
    assert sent == [*takewhile(lambda text: frame + len(_encoded(text)) <= max_bytes, texts)]


@given(st.lists(TEXTS, min_size=2, max_size=40))
def test_halves_have_the_texts_of_the_whole(texts: list[str]) -> None:
    splitter = Splitter({}, size=1_000)
    (whole,) = splitter.split(texts)
    first, second = whole.halves()
    assert first.texts + second.texts == whole.texts
    assert abs(len(first.texts) - len(second.texts)) <= 1
    assert (first.first, second.first) == (0, len(first.texts))


@pytest.mark.parametrize("room", [0, 1])
def test_a_part_is_filled_to_the_last_byte(room: int) -> None:
    empty = len(Splitter({}).body(Part(0, ())))
    texts = ["a" * 10, "b" * 20]
    splitter = Splitter({}, size=10, max_bytes=empty + 12 + 1 + 22 - room)
    assert len(list(splitter.split(texts))) == 1 + room


def test_a_text_that_fits_alone_to_the_last_byte_is_sent() -> None:
    empty = len(Splitter({}).body(Part(0, ())))
    assert len(list(Splitter({}, max_bytes=empty + 12).split(["a" * 10]))) == 1
    with pytest.raises(NotSent, match="12 bytes; 11 fit"):
        list(Splitter({}, max_bytes=empty + 11).split(["a" * 10]))


def test_parts_are_smaller_from_now_on() -> None:
    splitter = Splitter({}, size=4)
    parts = splitter.split("abcdefgh")
    assert len(next(parts).texts) == 4
    splitter.shrink(2)
    splitter.shrink(3)  # a request that was under way says less than is known
    assert [len(part.texts) for part in parts] == [2, 2]


def test_by_default_the_limits_are_those_of_the_service() -> None:
    splitter = Splitter({}, size=Settings.max_instances)
    parts = list(splitter.split(["x" * 100_000] * 100))
    assert max(len(splitter.body(part)) for part in parts) <= Settings.max_body_bytes
    assert len(parts) == 3
