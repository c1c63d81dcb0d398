"""JSON Web Tokens (RFC 7519), signed with RS256 or ES256 (RFC 7518): nothing else is read.

The algorithm follows from the key, never from the token: a token that says "none", or HS256 with the public key as its
secret, finds no key that it could be checked with.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

LONGEST = 8_192  # characters of a token; API Gateway takes 10,240 bytes of headers
LEEWAY = 30.0  # seconds that the clocks of issuer and function may be apart
_COORDINATE = 32  # bytes of a number on the curve P-256
_SMALLEST_RSA = 2_048  # bits; RFC 7518, 3.3
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
FindKey = Callable[[str], PublicKey | None]


class TokenRefused(Exception):
    """``reason`` is one of a few fixed sentences: nothing of the token is in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a token must claim. An empty ``scope`` asks for none."""

    issuer: str
    audiences: frozenset[str]
    scope: str = ""


def verify(token: str, *, find_key: FindKey, expected: Expected, now: float) -> str:
    """Who the token is about: its subject, or the client that it was given to.

    ``find_key`` has the issuer's key of an id, or None; ``now`` is in seconds since 1970. Raises TokenRefused.
    """
    header, claims, signed, signature = _parts(token)
    if "crit" in header:
        raise TokenRefused("The token wants an extension understood that nobody here knows.")
    key_id = header.get("kid", "")
    key = find_key(key_id) if isinstance(key_id, str) else None
    if key is None:
        raise TokenRefused("The token is signed with a key that its issuer does not publish.")
    if header.get("alg") != algorithm(key):
        raise TokenRefused("The token is not signed with the algorithm of the issuer's key.")
    if not _is_signed(key, signed, signature):
        raise TokenRefused("The token's signature is wrong.")
    _check_claims(claims, expected, now)
    return next((claims[name] for name in ("sub", "client_id") if isinstance(claims.get(name), str)), "")


def algorithm(key: PublicKey) -> str:
    """The one algorithm that a key is for."""
    return "RS256" if isinstance(key, rsa.RSAPublicKey) else "ES256"


def read_key(key: Mapping[str, Any]) -> PublicKey | None:
    """A public key of a set (RFC 7517); None if it is not for RS256 or ES256 signatures, or too weak for them."""
    if key.get("use", "sig") != "sig":
        return None
    reader = _READERS.get(str(key.get("kty")))
    try:
        read = reader(key) if reader else None
    except (KeyError, TypeError, ValueError):  # cryptography refuses numbers that are no key by a ValueError
        return None
    return read if read is not None and key.get("alg", algorithm(read)) == algorithm(read) else None


def decode(text: str) -> bytes:
    """Base64url without padding (RFC 7515, 2). Raises ValueError for anything else."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _rsa(key: Mapping[str, Any]) -> PublicKey | None:
    public = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()
    return public if public.key_size >= _SMALLEST_RSA else None


def _elliptic(key: Mapping[str, Any]) -> PublicKey | None:
    if key["crv"] != "P-256":
        return None
    return ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), ec.SECP256R1()).public_key()


_READERS: dict[str, Callable[[Mapping[str, Any]], PublicKey | None]] = {"RSA": _rsa, "EC": _elliptic}


def _number(text: str) -> int:
    return int.from_bytes(decode(text), "big")


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    unreadable = TokenRefused("The token is no signed JSON Web Token.")
    parts = token.split(".")
    if len(token) > LONGEST or len(parts) != 3:
        raise unreadable
    try:
        header, claims = (json.loads(decode(part)) for part in parts[:2])
        signature = decode(parts[2])
    except (ValueError, RecursionError, binascii.Error):
        raise unreadable from None  # the cause would quote the token
    if not (isinstance(header, dict) and isinstance(claims, dict)):
        raise unreadable
    return header, claims, f"{parts[0]}.{parts[1]}".encode(), signature


def _is_signed(key: PublicKey, signed: bytes, signature: bytes) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            return True
        if len(signature) != 2 * _COORDINATE:  # r and s, side by side, where DER has them tagged
            return False
        r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE], signature[_COORDINATE:]))
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _check_claims(claims: Mapping[str, Any], expected: Expected, now: float) -> None:
    if claims.get("iss") != expected.issuer:
        raise TokenRefused("The token is of another issuer.")
    if not _audiences(claims) & expected.audiences:
        raise TokenRefused("The token is for another audience.")
    if not now < _time(claims.get("exp"), missing=-math.inf) + LEEWAY:
        raise TokenRefused("The token has expired.")
    if not now > _time(claims.get("nbf"), missing=-math.inf) - LEEWAY:
        raise TokenRefused("The token is not valid yet.")
    if expected.scope and expected.scope not in _scopes(claims):
        raise TokenRefused("The token lacks the scope that this API asks for.")


def _audiences(claims: Mapping[str, Any]) -> set[str]:
    """``aud`` is one or several; Cognito's access tokens have none and name the client instead."""
    named = claims.get("aud", claims.get("client_id"))
    return _texts(named if isinstance(named, list) else [named])


def _scopes(claims: Mapping[str, Any]) -> set[str]:
    """``scope`` has them in one text (RFC 8693); some issuers write a list, or call it ``scp``."""
    named = claims.get("scope", claims.get("scp"))
    return _texts(named if isinstance(named, list) else str(named).split())


def _texts(values: list[Any]) -> set[str]:
    return {value for value in values if isinstance(value, str)}


def _time(value: object, *, missing: float) -> float:
    """Seconds since 1970; what is no time makes a token that never was valid."""
    if value is None:
        return missing
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
    return float(value) if known else math.nan  # type: ignore[arg-type]
