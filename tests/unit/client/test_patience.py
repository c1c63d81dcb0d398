"""Pauses and Retry-After."""

import random
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.client import NotSent, Patience
from slipway.client.patience import read_retry_after


def _headers(**values: str) -> Message:
    message = Message()
    for name, value in values.items():
        message[name.replace("_", "-")] = value
    return message


@given(st.integers(0, 5_000), st.floats(0, 100), st.randoms())
def test_a_pause_is_what_was_asked_and_a_random_part_of_a_bound_that_doubles(
    retry: int, asked: float, chance: random.Random
) -> None:
    patience = Patience(first_pause=0.5, longest_pause=20.0)
    bound = min(20.0, 0.5 * 2 ** min(retry, 30))
    assert asked <= patience.pause(retry, asked, chance.uniform) <= asked + bound
    assert patience.pause(retry, asked, lambda least, most: most) == asked + bound
    assert patience.pause(retry, asked, lambda least, most: least) == asked


@pytest.mark.parametrize("name", ["connect", "read", "deadline", "first_pause", "longest_pause", "retries"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_patience_is_positive(name: str, value: float) -> None:
    with pytest.raises(NotSent, match=name) as caught:
        Patience(**{name: value})  # type: ignore[arg-type]
    assert caught.value.field == name


def test_only_retries_may_be_none() -> None:
    assert Patience(retries=0).retries == 0
    with pytest.raises(NotSent, match="deadline"):
        Patience(deadline=0)


@given(st.text(st.characters(codec="latin-1")), st.text(st.characters(codec="latin-1")))
def test_any_header_is_a_number_of_seconds(value: str, date: str) -> None:
    assert read_retry_after(_headers(Retry_After=value, Date=date)) >= 0.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("9" * 400, float("inf")),
        ("1.5", 0.0),
        ("nan", 0.0),
        ("²", 0.0),
        ("Mon, 23 Nov 2026 12:02:00 GMT", 120.0),
        ("Mon, 23 Nov 2026 12:02:00 -0000", 120.0),
        ("Mon, 23 Nov 2026 11:59:00 GMT", 0.0),
        ("Monday, 23-Nov-26 12:02:00 GMT", 120.0),
        ("1 Oct 2026 7:" + "9" * 40, 0.0),  # found by fuzzing
    ],
)
def test_retry_after_has_seconds_or_a_date(value: str, seconds: float) -> None:
    assert read_retry_after(_headers(Retry_After=value, Date="Mon, 23 Nov 2026 12:00:00 GMT")) == seconds


def test_a_date_without_the_answers_own_is_compared_with_this_machines() -> None:
    assert read_retry_after(_headers(Retry_After="Fri, 01 Jan 2100 00:00:00 GMT")) > 1e6
    assert read_retry_after(_headers(Retry_After="Sat, 01 Jan 2000 00:00:00 GMT")) == 0.0
