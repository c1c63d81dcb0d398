"""Signatures of manifests: what is accepted is what OpenSSL signed, and nothing that an attacker can make of it."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.errors import ArtifactError, SettingsError
from slipway.signatures import (
    MAX_BYTES,
    SIGNATURE,
    Signature,
    check_directory,
    check_signature,
    fingerprint,
    read_keys,
    statement,
    verify,
)

MANIFEST = b'{"model": "demo"}'


def der(key: Any) -> bytes:
    public: bytes = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return public


def make(bits: int = 3072) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=bits)


KEY, OTHER = make(), make()
PUBLIC = der(KEY)
TRUSTED = frozenset([fingerprint(PUBLIC)])


def signed(key: rsa.RSAPrivateKey, message: bytes) -> bytes:
    return key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def signature_of(manifest: bytes, key: rsa.RSAPrivateKey = KEY) -> bytes:
    return Signature(der(key), signed(key, statement(manifest))).to_json()


GOOD = signature_of(MANIFEST)
SIGNED = signed(KEY, MANIFEST)


def changed(**members: Any) -> bytes:
    return json.dumps({**json.loads(GOOD), **members}).encode()


def check(signature: bytes | None, manifest: bytes = MANIFEST) -> None:
    check_signature(manifest, signature, TRUSTED, source="v/manifest.json")


# --- the algorithm


@pytest.mark.parametrize("bits", [3072, 4096])
@settings(max_examples=10)
@given(message=st.binary(max_size=200))
def test_what_openssl_signs_is_verified_and_its_keys_are_read(message: bytes, bits: int) -> None:
    key = KEY if bits == 3072 else _large()
    assert verify(der(key), message, signed(key, message))
    assert not verify(der(key), message + b"x", signed(key, message))


@given(bit=st.integers(0, 3071))
def test_no_bit_of_a_signature_can_be_changed(bit: int) -> None:
    wrong = int.from_bytes(SIGNED, "big") ^ (1 << bit)
    assert not verify(PUBLIC, MANIFEST, wrong.to_bytes(384, "big"))


@given(forged=st.binary(max_size=500))
def test_what_is_made_up_is_no_signature(forged: bytes) -> None:
    assert not verify(PUBLIC, MANIFEST, forged)


def test_a_number_beyond_the_modulus_is_no_second_signature_of_the_same() -> None:
    good = int.from_bytes(SIGNED, "big")
    beyond = good + KEY.public_key().public_numbers().n
    assert not verify(PUBLIC, MANIFEST, beyond.to_bytes(385, "big"))
    if beyond < 1 << 3072:
        assert not verify(PUBLIC, MANIFEST, beyond.to_bytes(384, "big"))


def test_another_padding_or_digest_is_not_accepted() -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    assert not verify(PUBLIC, MANIFEST, KEY.sign(MANIFEST, pss, hashes.SHA256()))
    assert not verify(PUBLIC, MANIFEST, KEY.sign(MANIFEST, padding.PKCS1v15(), hashes.SHA512()))


def test_padding_that_ends_early_is_not_accepted() -> None:
    """Bleichenbacher's forgery of 2006 needs a verifier that stops reading behind the digest."""
    numbers = KEY.private_numbers()
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(MANIFEST).digest()
    for encoded in (
        b"\x00\x01" + b"\xff" * 8 + b"\x00" + info + b"\x00" * (384 - 11 - len(info)),
        b"\x00\x02" + b"\xff" * (384 - 3 - len(info)) + b"\x00" + info,
        b"\x00\x01" + b"\xff" * (384 - 3 - len(info) + 2) + b"\x00" + info[:2] + info[4:],
    ):
        made = pow(int.from_bytes(encoded, "big"), numbers.d, numbers.public_numbers.n)
        assert not verify(PUBLIC, MANIFEST, made.to_bytes(384, "big"))


# --- keys


@pytest.mark.parametrize("bits", [1024, 2048])
def test_small_keys_are_refused(bits: int) -> None:
    key = make(bits)
    with pytest.raises(ValueError, match="no RSA key of 3,072 or 4,096 bits with the exponent 65537"):
        verify(der(key), MANIFEST, signed(key, MANIFEST))


def test_an_exponent_of_one_with_which_everything_is_its_own_signature_is_refused() -> None:
    modulus = PUBLIC.removesuffix(b"\x02\x03\x01\x00\x01")
    for public in (modulus + b"\x02\x01\x01", modulus + b"\x02\x01\x03", PUBLIC[:-1] + b"\x03", PUBLIC + b"\x00", b""):
        with pytest.raises(ValueError, match="no RSA key"):
            verify(public, MANIFEST, b"\x00" * 384)


def test_an_elliptic_curve_s_key_is_refused() -> None:
    with pytest.raises(ValueError, match="no RSA key"):
        verify(der(ec.generate_private_key(ec.SECP256R1())), MANIFEST, b"")


@given(public=st.binary(max_size=600))
def test_no_bytes_crash_the_reader_of_keys(public: bytes) -> None:
    with pytest.raises(ValueError, match="no RSA key"):
        verify(public, b"", b"")


def test_trusted_keys_are_fingerprints_and_nothing_else() -> None:
    assert read_keys(" " + "a" * 64 + " ,, " + "b" * 64) == {"a" * 64, "b" * 64}
    for word in ("A" * 64, "a" * 63, "a" * 64 + ";", "-----BEGIN PUBLIC KEY-----"):
        with pytest.raises(SettingsError, match="is no fingerprint"):
            read_keys(word)


# --- manifests


def test_a_manifest_that_a_trusted_key_signed_is_accepted() -> None:
    check(GOOD)


@given(position=st.integers(0, len(MANIFEST) - 1), bit=st.integers(0, 7))
def test_no_bit_of_a_manifest_can_be_changed(position: int, bit: int) -> None:
    flipped = bytearray(MANIFEST)
    flipped[position] ^= 1 << bit
    with pytest.raises(ArtifactError, match="was changed"):
        check(GOOD, bytes(flipped))


@settings(max_examples=30)
@given(raw=st.binary(max_size=300) | st.recursive(st.text(max_size=5) | st.integers() | st.none(), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["algorithm", "public_key", "signature"]), inner)
), max_leaves=6).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_nothing_but_a_signature_is_accepted_and_every_refusal_is_in_words(raw: bytes) -> None:
    with pytest.raises(ArtifactError):
        check(raw)


DEEP = b"[" * 4_000


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        (None, "is not signed"),
        (b"", "no signature that this release can read"),
        (DEEP, "no signature that this release can read"),
        (b" " * (MAX_BYTES + 1), "longer than 8,192 bytes"),
        (GOOD[:-40], "no signature that this release can read"),
        (changed(algorithm="none"), "is by 'none'"),
        (changed(algorithm="HS256"), "is by 'HS256'"),
        (changed(signature="!!"), "no signature that this release can read"),
        (changed(signature=""), "was changed, or the signature is another version's"),
        (changed(signature=base64.b64encode(b"\x00" * 384).decode()), "was changed"),
        (changed(public_key=base64.b64encode(b"x").decode()), "which is not trusted here"),
        (signature_of(b"{}"), "the signature is another version's"),
        (signature_of(MANIFEST, OTHER), "which is not trusted here"),
        (Signature(PUBLIC, signed(OTHER, statement(MANIFEST))).to_json(), "was changed"),
        (Signature(PUBLIC, signed(KEY, MANIFEST)).to_json(), "was changed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(signature: bytes | None, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason):
        check(signature)


def test_a_trusted_key_that_is_too_small_is_refused_all_the_same() -> None:
    small = make(2048)
    with pytest.raises(ArtifactError, match="no RSA key of 3,072"):
        check_signature(MANIFEST, signature_of(MANIFEST, small), [fingerprint(der(small))], source="manifest.json")


def test_a_directory_is_checked_before_its_manifest_is_read(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"holds no manifest\.json"):
        check_directory(tmp_path, TRUSTED)
    (tmp_path / "manifest.json").write_bytes(MANIFEST)
    with pytest.raises(ArtifactError, match="is not signed"):
        check_directory(tmp_path, TRUSTED)
    (tmp_path / SIGNATURE).write_bytes(GOOD)
    check_directory(tmp_path, TRUSTED)
    (tmp_path / SIGNATURE).write_bytes(b" " * (1 << 20))
    with pytest.raises(ArtifactError, match="longer than"):
        check_directory(tmp_path, TRUSTED)
    (tmp_path / SIGNATURE).unlink()
    (tmp_path / SIGNATURE).mkdir()
    with pytest.raises(ArtifactError, match="cannot be read"):
        check_directory(tmp_path, TRUSTED)


_kept: list[rsa.RSAPrivateKey] = []


def _large() -> rsa.RSAPrivateKey:
    if not _kept:
        _kept.append(make(4096))
    return _kept[0]
