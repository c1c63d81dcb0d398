"""Who made a version: a signature beside its manifest, which has the checksum of every other file.

    manifest.sig    JSON: the algorithm, the signer's public key and the signature, both in base64

A deployment trusts keys by their fingerprints, the SHA-256 of the public key in DER (SubjectPublicKeyInfo). So the key
itself may come with the signature, from the bucket that is not trusted: what does not have a trusted fingerprint is not
even parsed.

The algorithm is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2), of RSA keys of 3,072 or 4,096 bits and the
exponent 65537. Verifying is one power modulo n and a comparison with the only encoding there is: Python's own integers
do it in a fraction of a millisecond, nothing that an attacker wrote is parsed, and everything in it is public, so that
its timing tells nothing. Signed is a line about the manifest and not the manifest: KMS hashes messages of up to 4,096
bytes, and a key that signs other things as well signs nothing that looks like this line.
"""

import base64
import hashlib
import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from slipway.artifact import MANIFEST
from slipway.errors import ArtifactError, SettingsError

SIGNATURE = "manifest.sig"
ALGORITHM = "RSASSA_PKCS1_V1_5_SHA_256"  # as KMS calls it
MAX_BYTES = 8_192  # of a manifest.sig: with a key of 4,096 bits it has 1,500
_EXPONENT = 65_537
# DER of SubjectPublicKeyInfo around the modulus, by its bits; behind it the exponent. Another size is another prefix.
_BEFORE = {
    3072: bytes.fromhex("308201a2300d06092a864886f70d01010105000382018f003082018a0282018100"),
    4096: bytes.fromhex("30820222300d06092a864886f70d01010105000382020f003082020a0282020100"),
}
_BEHIND = bytes.fromhex("0203010001")
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # DigestInfo before the digest
_REMEDY = "Publish it again with `slipway publish --sign`, or promote a version that is signed."

TrustedKeys = frozenset[str]
FINGERPRINT = re.compile("[0-9a-f]{64}")


class Signature(NamedTuple):
    """What ``manifest.sig`` holds: ``public_key`` in DER, ``signature`` as many bytes as the key's modulus."""

    public_key: bytes
    signature: bytes

    def to_json(self) -> bytes:
        """The same signature gives the same bytes."""
        coded = {name: base64.b64encode(value).decode() for name, value in self._asdict().items()}
        return json.dumps({"algorithm": ALGORITHM, **coded}, indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, raw: bytes, *, source: str) -> "Signature":
        """Raises ArtifactError where it is not what ``to_json`` gives."""
        if len(raw) > MAX_BYTES:
            raise ArtifactError(f"{source} is longer than {MAX_BYTES:,} bytes: it is no signature.", remedy=_REMEDY)
        try:
            content = json.loads(raw)
            algorithm = content["algorithm"]
            decoded = {name: base64.b64decode(content[name], validate=True) for name in cls._fields}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ArtifactError(f"{source} is no signature that this release can read.", remedy=_REMEDY) from error
        if algorithm != ALGORITHM:
            raise ArtifactError(f"{source} is by {str(algorithm)[:40]!r}, not by {ALGORITHM}.", remedy=_REMEDY)
        return cls(**decoded)


def read_keys(text: str) -> TrustedKeys:
    """Fingerprints, separated by commas. Raises SettingsError naming the first that is none.

    >>> sorted(read_keys("")), len(read_keys(64 * "0" + ", " + 64 * "1"))
    ([], 2)
    """
    found = [word.strip() for word in text.split(",") if word.strip()]
    for word in found:
        if not FINGERPRINT.fullmatch(word):
            raise SettingsError(
                f"{word[:80]!r} is no fingerprint of a key: 64 of 0-9 and a-f.", remedy="`slipway keys show` prints it."
            )
    return frozenset(found)


def fingerprint(public_key: bytes) -> str:
    """SHA-256 (hex) of a public key in DER: ``openssl pkey -pubin -in KEY.pem -outform der | sha256sum``."""
    return hashlib.sha256(public_key).hexdigest()


def statement(manifest: bytes) -> bytes:
    """What is signed of a ``manifest.json``.

    >>> statement(b"{}")[:29]
    b'slipway manifest.json sha256:'
    """
    return b"slipway manifest.json sha256:" + hashlib.sha256(manifest).hexdigest().encode() + b"\n"


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is of ``message`` by this key. Raises ValueError if it is no RSA key of a size we take."""
    modulus, size = _modulus(public_key)
    number = int.from_bytes(signature, "big")
    if len(signature) != size or number >= modulus:
        return False
    return pow(number, _EXPONENT, modulus) == int.from_bytes(_encoded(message, size), "big")


def check_signature(manifest: bytes, signature: bytes | None, trusted: Collection[str], *, source: str) -> None:
    """Accept a manifest that one of the ``trusted`` keys has signed.

    ``signature`` is the content of ``manifest.sig``, or None where there is none; ``source`` names the manifest.
    Raises ArtifactError with the reason.
    """
    if signature is None:
        raise ArtifactError(f"{source} is not signed, and this deployment serves signed versions only.", remedy=_REMEDY)
    read = Signature.from_json(signature, source=f"The signature of {source}")
    signer = fingerprint(read.public_key)
    if signer not in trusted:
        raise ArtifactError(f"{source} is signed by the key {signer[:16]}…, which is not trusted here.", remedy=_REMEDY)
    try:
        good = verify(read.public_key, statement(manifest), read.signature)
    except ValueError as error:
        raise ArtifactError(f"{source} is signed by the key {signer[:16]}…: {error}.", remedy=_REMEDY) from error
    if not good:
        raise ArtifactError(f"{source} does not have the signature of the key {signer[:16]}…: it was changed, or the "
                            "signature is another version's.", remedy=_REMEDY)  # fmt: skip


def check_directory(directory: Path, trusted: Collection[str]) -> None:
    """As ``check_signature``, for an artifact directory with its ``manifest.sig``, before anything in it is read."""
    path = directory / MANIFEST
    manifest = _beginning(path, None)
    if manifest is None:
        raise ArtifactError(f"{directory} holds no {MANIFEST}: it is not a finished artifact.")
    check_signature(manifest, _beginning(directory / SIGNATURE, MAX_BYTES + 1), trusted, source=str(path))


def _beginning(path: Path, at_most: int | None) -> bytes | None:
    """None if there is no such file."""
    try:
        with path.open("rb") as file:
            return file.read(at_most)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error}.") from error


def _modulus(public_key: bytes) -> tuple[int, int]:
    """The modulus and its size in bytes."""
    for bits, before in _BEFORE.items():
        body = public_key.removeprefix(before).removesuffix(_BEHIND)
        if public_key == before + body + _BEHIND and len(body) == bits // 8 and body[0] & 0x80 and body[-1] & 1:
            return int.from_bytes(body, "big"), len(body)
    raise ValueError(f"it is no RSA key of 3,072 or 4,096 bits with the exponent {_EXPONENT}")


def _encoded(message: bytes, size: int) -> bytes:
    """EMSA-PKCS1-v1_5 of ``message`` in ``size`` bytes."""
    info = _SHA256_INFO + hashlib.sha256(message).digest()
    return b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info
