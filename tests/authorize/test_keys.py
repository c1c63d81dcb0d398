"""The issuer's keys over real HTTP: kept, fetched again, missing, rotated, and answers that are none."""

import pytest

from functions.authorize.keys import KEPT, PAUSE, STALE, IssuerKeys, KeysUnavailable
from tests.authorize.issuer import Issuer, jwk, p256_key

CONFIGURATION = "/.well-known/openid-configuration"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def own() -> Issuer:
    """An issuer for one test, without the RSA key, which takes a while to make."""
    return Issuer(keys={"a": p256_key()})


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_keys_are_found_by_their_ids_and_asked_for_once(own: Issuer, clock: Clock) -> None:
    with own:
        keys = IssuerKeys(own.url, clock=clock)
        assert [keys.find("a") is not None for _ in range(5)] == [True] * 5
        assert own.asked == [CONFIGURATION, "/keys"]


def test_a_rotated_key_is_fetched_when_it_is_first_used(own: Issuer, clock: Clock) -> None:
    with own:
        keys = IssuerKeys(own.url, clock=clock)
        assert keys.find("a")
        own.keys["b"] = p256_key()
        clock.now = PAUSE
        assert keys.find("b")


def test_a_key_that_was_withdrawn_is_trusted_for_an_hour_at_most(own: Issuer, clock: Clock) -> None:
    with own:
        keys = IssuerKeys(own.url, clock=clock)
        assert keys.find("a")
        own.keys = {"b": p256_key()}
        clock.now = KEPT - 1
        assert keys.find("a")
        clock.now = KEPT
        assert keys.find("a") is None


def test_invented_key_ids_are_no_flood_at_the_issuer_s(own: Issuer, clock: Clock) -> None:
    with own:
        keys = IssuerKeys(own.url, clock=clock)
        for second in range(60):
            clock.now = float(second)
            assert keys.find(f"invented-{second}") is None
        assert own.asked.count("/keys") == 2


def test_an_issuer_that_is_down_changes_nothing_for_a_day(own: Issuer, clock: Clock) -> None:
    with own:
        keys = IssuerKeys(own.url, clock=clock)
        assert keys.find("a")
    clock.now = STALE - 1
    assert keys.find("a")
    clock.now = STALE
    with pytest.raises(KeysUnavailable, match="does not tell its keys"):
        keys.find("a")


def test_an_issuer_that_never_answered_is_unavailable_until_it_does(own: Issuer, clock: Clock) -> None:
    keys = IssuerKeys(own.url, clock=clock)
    own.answers[CONFIGURATION] = (500, {})
    with own:
        with pytest.raises(KeysUnavailable):
            keys.find("a")
        own.answers.clear()
        with pytest.raises(KeysUnavailable):  # not asked again so soon
            keys.find("a")
        clock.now = PAUSE
        assert keys.find("a")


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (CONFIGURATION, (200, b"<html>")),
        (CONFIGURATION, (200, [])),
        (CONFIGURATION, (200, {"issuer": "https://evil.example", "jwks_uri": "https://evil.example/keys"})),
        (CONFIGURATION, (302, {})),
        ("/keys", (404, {})),
        ("/keys", (200, b"{")),
        ("/keys", (200, {"keys": {"a": 1}})),
        ("/keys", (200, b'{"keys": [' + b" " * (1 << 20) + b"]}")),
    ],
)
def test_an_answer_that_is_none_takes_no_key_away(
    own: Issuer, clock: Clock, path: str, answer: tuple[int, object]
) -> None:
    with own:
        keys = IssuerKeys(own.url, clock=clock)
        assert keys.find("a")
        own.answers[path] = answer
        clock.now = KEPT
        assert keys.find("a")


def test_keys_are_fetched_over_tls_only(own: Issuer, clock: Clock) -> None:
    own.answers[CONFIGURATION] = (200, {"issuer": own.url, "jwks_uri": "http://keys.example/set"})
    with own, pytest.raises(KeysUnavailable):
        IssuerKeys(own.url, clock=clock).find("a")
    assert own.asked == [CONFIGURATION]


def test_what_else_is_in_the_set_is_passed_over(own: Issuer, clock: Clock) -> None:
    others = [None, {"kty": "oct", "kid": "s"}, {"kty": "RSA", "kid": "broken"}]
    own.answers["/keys"] = (200, {"keys": [*others, jwk(own.keys["a"], "a")]})
    with own:
        keys = IssuerKeys(own.url, clock=clock)
        assert [keys.find(key_id) is not None for key_id in ("a", "s", "broken")] == [True, False, False]


def test_a_token_without_an_id_finds_the_only_key_and_none_of_several(own: Issuer, clock: Clock) -> None:
    with own:
        keys = IssuerKeys(own.url, clock=clock)
        assert keys.find("")
        own.keys["b"] = p256_key()
        clock.now = KEPT
        assert keys.find("") is None
