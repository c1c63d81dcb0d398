"""Keys that sign versions: in a PEM file, or in KMS, where the private half never leaves the service.

What they sign, and how it is verified at load, is in ``slipway.signatures``.
"""

import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.errors import BuildError
from slipway.signatures import ALGORITHM, Signature, fingerprint, statement, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

_BITS = 3072  # as strong as AES-128 (NIST SP 800-57): more would make each start slower for nothing
_KMS = ("arn:", "alias/")


@dataclass(frozen=True)
class Signer:
    """A key: ``public_key`` in DER, and ``sign``, which is None where only the public half is known."""

    name: str
    public_key: bytes
    sign: Callable[[bytes], bytes] | None

    @property
    def fingerprint(self) -> str:
        """What a deployment trusts it by."""
        return fingerprint(self.public_key)

    def manifest_signature(self, manifest: bytes) -> bytes:
        """The content of ``manifest.sig``, verified as a function will. Raises BuildError if it cannot be made."""
        if self.sign is None:
            raise BuildError(f"{self.name} is a public key: it cannot sign.", remedy="Name the private one.")
        message = statement(manifest)
        signature = self.sign(message)
        if not verify(self.public_key, message, signature):
            raise BuildError(f"{self.name} gave a signature that it does not verify.", remedy="Use another key.")
        return Signature(self.public_key, signature).to_json()


def open_signer(key: str) -> Signer:
    """The key of that name: the ARN or alias of a KMS key, or the path of a PEM file.

    Raises BuildError if there is none, or it is none that ``slipway.signatures`` takes.
    """
    signer = _kms_signer(key) if key.startswith(_KMS) else _pem_signer(Path(key))
    try:
        verify(signer.public_key, b"", b"")
    except ValueError as error:
        raise BuildError(f"{key} cannot sign versions: {error}.", remedy="`slipway keys new` makes one.") from error
    return signer


def make_key(path: Path) -> Signer:
    """A new private key in a file that only its owner may read. Raises BuildError if there is a file already."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65_537, key_size=_BITS)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    except FileExistsError as error:
        raise BuildError(f"{path} exists; a key is not overwritten.", remedy="Name another file.") from error
    except OSError as error:
        raise BuildError(f"{path} cannot be written: {error}.") from error
    return _local(str(path), private)


def to_pem(public_key: bytes) -> str:
    """A public key in DER as text, for openssl and for people."""
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_der_public_key(public_key)
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    return loaded.public_bytes(serialization.Encoding.PEM, info).decode()


def _pem_signer(path: Path) -> Signer:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        pem = path.read_bytes()
        private = b"PRIVATE KEY" in pem
        found = serialization.load_pem_private_key(pem, None) if private else serialization.load_pem_public_key(pem)
    except OSError as error:
        raise BuildError(f"The key {path} cannot be read: {error}.", remedy="`slipway keys new` makes one.") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: a passphrase is asked for
        raise BuildError(f"{path} is no key in PEM without a passphrase.", remedy="Keep it in KMS.") from error
    if isinstance(found, rsa.RSAPrivateKey):
        return _local(str(path), found)
    if isinstance(found, rsa.RSAPublicKey):
        return Signer(str(path), _der(found), None)
    raise BuildError(f"{path} is no RSA key.", remedy="`slipway keys new` makes one.")


def _local(name: str, private: "RSAPrivateKey") -> Signer:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    return Signer(
        name, _der(private.public_key()), lambda message: private.sign(message, padding.PKCS1v15(), hashes.SHA256())
    )


def _der(public: "RSAPublicKey") -> bytes:
    from cryptography.hazmat.primitives import serialization

    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _kms_signer(key: str) -> Signer:
    """KMS is asked for the public half once, and for each signature."""
    import boto3

    region = key.split(":")[3] if key.count(":") > 4 else None
    with _refusals(key):
        client: Any = boto3.client("kms", region_name=region or None)
        public_key: bytes = client.get_public_key(KeyId=key)["PublicKey"]

    def sign(message: bytes) -> bytes:
        with _refusals(key):
            answer = client.sign(KeyId=key, Message=message, MessageType="RAW", SigningAlgorithm=ALGORITHM)
        signature: bytes = answer["Signature"]
        return signature

    return Signer(key, public_key, sign)


@contextmanager
def _refusals(key: str) -> "Iterator[None]":
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError) as error:
        remedy = "Ask for kms:GetPublicKey and kms:Sign on a key with the usage SIGN_VERIFY and the spec RSA_3072."
        raise BuildError(f"KMS refused the key {key}: {error}.", remedy=remedy) from error
