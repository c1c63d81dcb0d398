"""What gets in and what does not, with real keys: signatures, algorithms, claims, and tokens that are none."""

import hashlib
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.authorize.tokens import LEEWAY, LONGEST, Expected, TokenRefused, read_key, verify
from tests.authorize.issuer import AUDIENCE, Issuer, dump, encode, jwk, p256_key, rsa_key, sign


def check(issuer: Issuer, token: str, *, scope: str = "", now: float | None = None) -> str:
    known = {key_id: read_key(jwk(key, key_id)) for key_id, key in issuer.keys.items()}
    expected = Expected(issuer=issuer.url, audiences=frozenset({AUDIENCE, "other"}), scope=scope)
    return verify(token, find_key=known.get, expected=expected, now=time.time() if now is None else now)


def refusal(issuer: Issuer, token: str, **how: str) -> str:
    with pytest.raises(TokenRefused) as refused:
        check(issuer, token, **how)  # type: ignore[arg-type]
    return refused.value.reason


@pytest.mark.parametrize("key_id", ["rsa", "p256"])
def test_a_token_of_the_issuer_s_is_taken_and_names_its_subject(issuer: Issuer, key_id: str) -> None:
    assert check(issuer, issuer.token(key_id)) == "team-7"


@pytest.mark.parametrize("audience", [[AUDIENCE], ["nobody", AUDIENCE], "other"])
def test_one_of_several_audiences_is_enough(issuer: Issuer, audience: object) -> None:
    assert check(issuer, issuer.token(aud=audience)) == "team-7"


def test_an_access_token_of_cognito_s_names_its_client_instead(issuer: Issuer) -> None:
    assert check(issuer, issuer.token(aud=None, client_id=AUDIENCE, sub=None)) == AUDIENCE


@pytest.mark.parametrize("scope", ["read classify", ["read", "classify"]])
@pytest.mark.parametrize("name", ["scope", "scp"])
def test_the_scope_is_found_however_it_is_written(issuer: Issuer, name: str, scope: object) -> None:
    assert check(issuer, issuer.token(**{name: scope}), scope="classify")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"iss": ["http"]}, "another issuer"),
        ({"aud": "billing"}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"aud": {"classifier": 1}}, "another audience"),
        ({"aud": [7, None]}, "another audience"),
        ({"aud": "billing", "client_id": AUDIENCE}, "another audience"),
        ({"exp": 1_000}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": "tomorrow"}, "expired"),
        ({"exp": True}, "expired"),
        ({"exp": float("nan")}, "expired"),
        ({"exp": float("inf")}, "expired"),
        ({"exp": 10**30}, "expired"),
        ({"nbf": 9_999_999_999}, "not valid yet"),
        ({"nbf": []}, "not valid yet"),
    ],
)
def test_a_claim_that_is_not_as_expected_is_named(issuer: Issuer, changes: dict[str, object], reason: str) -> None:
    assert reason in refusal(issuer, issuer.token(**changes))


@pytest.mark.parametrize("changes", [{}, {"scope": "classify-all"}, {"scope": None, "scp": 7}, {"scope": ["a", 7]}])
def test_without_the_scope_nobody_gets_in(issuer: Issuer, changes: dict[str, object]) -> None:
    assert "scope" in refusal(issuer, issuer.token(**changes), scope="classify")


def test_clocks_may_be_half_a_minute_apart_and_no_more(issuer: Issuer) -> None:
    end = 2_000_000_000
    token = issuer.token(exp=end, nbf=end - 60)
    assert check(issuer, token, now=end + LEEWAY - 1)
    assert check(issuer, token, now=end - 60 - LEEWAY + 1)
    for now in (end + LEEWAY, end - 60 - LEEWAY):
        with pytest.raises(TokenRefused):
            check(issuer, token, now=now)


@pytest.mark.parametrize("said", ["none", "None", "NONE", "", None, "HS256", "RS384", "ES256", "PS256", ["RS256"]])
def test_the_algorithm_is_the_key_s_whatever_the_token_says(issuer: Issuer, said: object) -> None:
    token = sign(issuer.keys["rsa"], {"alg": said, "kid": "rsa"}, issuer.claims())
    assert "algorithm" in refusal(issuer, token)


def test_a_token_without_a_signature_is_refused(issuer: Issuer) -> None:
    for header in ({"alg": "none", "kid": "rsa"}, {"alg": "RS256", "kid": "rsa"}):
        assert refusal(issuer, f"{dump(header)}.{dump(issuer.claims())}.")


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_the_public_key_is_no_secret_for_hs256(issuer: Issuer, encoding: Encoding) -> None:
    secret = issuer.keys["rsa"].public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    for algorithm in ("HS256", "RS256"):
        signed = f"{dump({'alg': algorithm, 'kid': 'rsa'})}.{dump(issuer.claims())}"
        forged = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        assert refusal(issuer, f"{signed}.{encode(forged)}")


@pytest.mark.parametrize("key_id", ["unknown", "", None, 7, ["rsa"], {"rsa": 1}])
def test_a_key_that_is_not_published_opens_nothing(issuer: Issuer, key_id: object) -> None:
    token = sign(p256_key(), {"alg": "ES256", "kid": key_id}, issuer.claims())
    assert "does not publish" in refusal(issuer, token)


@pytest.mark.parametrize("header", [{"jwk": 1}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example"}])
def test_a_key_that_the_token_brings_along_is_not_looked_at(issuer: Issuer, header: dict[str, object]) -> None:
    mine = p256_key()
    brought = {"jwk": jwk(mine, "p256")} if "jwk" in header else header
    token = sign(mine, {"alg": "ES256", "kid": "p256", **brought}, issuer.claims())
    assert "signature" in refusal(issuer, token)


def test_an_extension_that_must_be_understood_is_refused(issuer: Issuer) -> None:
    header = {"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": False}
    assert "extension" in refusal(issuer, sign(issuer.keys["rsa"], header, issuer.claims()))


@pytest.mark.parametrize("key_id", ["rsa", "p256"])
def test_a_changed_claim_or_signature_is_noticed(issuer: Issuer, key_id: str) -> None:
    header, claims, signature = issuer.token(key_id).split(".")
    admin = dump(issuer.claims(sub="admin"))
    changed = ("A" if signature[0] != "A" else "B") + signature[1:]
    for token in (
        f"{header}.{admin}.{signature}",
        f"{header}.{claims}.{changed}",
        f"{header}.{claims}.{signature[4:]}",
    ):
        assert "signature" in refusal(issuer, token)


def test_zeros_sign_nothing_on_the_curve(issuer: Issuer) -> None:
    signed = f"{dump({'alg': 'ES256', 'kid': 'p256'})}.{dump(issuer.claims())}"
    assert "signature" in refusal(issuer, f"{signed}.{encode(bytes(64))}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        "not a token",
        f"{dump({})}.{dump([])}.",
        f"{dump([])}.{dump({})}.",
        f"{dump(None)}.{dump(None)}.{dump(None)}",
        f"{dump({})}.{encode(b'[' * 3_000)}.",
        f"{dump({})}.{encode(b'1' * 5_000)}.",
        f"{dump({})}=.{dump({})}.",
        f"{encode(bytes([0xFF, 0xFE]))}.{dump({})}.",
        "é.é.é",
    ],
)
def test_what_is_no_token_is_refused_and_not_quoted(issuer: Issuer, token: str) -> None:
    assert refusal(issuer, token) == "The token is no signed JSON Web Token."


def test_a_huge_token_is_refused_before_it_is_read(issuer: Issuer) -> None:
    token = issuer.token(padding="x" * LONGEST)
    assert len(token) > LONGEST
    assert refusal(issuer, token) == "The token is no signed JSON Web Token."


@settings(max_examples=60, deadline=None)
@given(st.text() | st.binary().map(lambda raw: ".".join([encode(raw)] * 3)) | st.text("AZaz09-_.="))
def test_whatever_is_sent_is_refused_and_raises_nothing_else(token: str) -> None:
    with pytest.raises(TokenRefused):
        verify(token, find_key=lambda _: None, expected=Expected(issuer="", audiences=frozenset()), now=0.0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["kty", "n", "e", "crv", "x", "y", "use", "alg", "kid"]), json_values))
def test_whatever_a_set_of_keys_holds_is_a_key_or_none(key: dict[str, object]) -> None:
    assert read_key(key) is None or key["kty"] in ("RSA", "EC")


@pytest.mark.parametrize(
    "change",
    [{"use": "enc"}, {"alg": "HS256"}, {"alg": "RS512"}, {"kty": "oct"}, {"n": ""}, {"e": "!"}, {"e": None}],
)
def test_a_key_for_something_else_is_not_used(issuer: Issuer, change: dict[str, object]) -> None:
    assert read_key(jwk(issuer.keys["rsa"], "rsa", **change)) is None


def test_a_point_beside_the_curve_or_another_curve_is_no_key(issuer: Issuer) -> None:
    good = jwk(issuer.keys["p256"], "p256")
    assert read_key(good)
    assert read_key({**good, "x": good["y"]}) is None
    assert read_key({**good, "crv": "P-384"}) is None


def test_a_weak_rsa_key_is_no_key() -> None:
    assert read_key(json.loads(json.dumps(jwk(rsa_key(1024), "weak")))) is None
