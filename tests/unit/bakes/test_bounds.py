"""What a person may write of bounds, durations and steps."""

import pytest

from slipway.bakes.bounds import Bounds, parse_seconds, parse_steps
from slipway.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("errors=101", "errors"),
        ("slowdown=0.9", "slowdown"),
        ("disagreement=-1", "disagreement"),
        ("requests=9", "requests"),
        ("requests=nan", "requests=nan"),
        ("errors", "errors"),
        ("=1", "''"),
        ("speed=2", "speed"),
    ],
)
def test_a_bound_that_cannot_be_kept_is_refused_by_name(text: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        Bounds.parse(text)


def test_bounds_that_are_not_named_have_their_defaults() -> None:
    assert Bounds.parse("") == Bounds()
    assert Bounds.parse("errors=2,slowdown=3,disagreement=4,requests=50") == Bounds(
        errors=2, slowdown=3, disagreement=4, requests=50
    )


@pytest.mark.parametrize("text", ["", "10", "m", "ten m", "infm", "nans", "10 weeks"])
def test_a_duration_that_nobody_reads_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="duration"):
        parse_seconds(text)


@pytest.mark.parametrize(
    "text", ["", "5", "5,25", "100", "25,5,100", "5,5,100", "0,100", "-5,100", "5,x,100", "5,nan,100"]
)
def test_steps_that_do_not_grow_to_100_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="steps"):
        parse_steps(text)


def test_too_many_steps_are_refused() -> None:
    with pytest.raises(SettingsError, match="at most 5"):
        parse_steps("1,2,3,4,5,6,100")
