"""``slipway keys``, ``publish --sign`` and ``verify``, with a key in a file and with one in KMS."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest

from model_build.signing import open_signer
from slipway.artifact import MANIFEST
from slipway.errors import BuildError
from slipway.signatures import SIGNATURE, Signature
from slipway.store import Store
from tests.conftest import BUCKET
from tests.model_build.conftest import Run, assert_refused

IN_STORE = ["--bucket", BUCKET, "--model", "demo"]


@pytest.fixture
def key(tmp_path: Path, slipway: Run) -> tuple[Path, str]:
    """A key file and its fingerprint."""
    path = tmp_path / "signing.pem"
    return path, slipway("keys", "new", path, "--json").document["fingerprint"]


@pytest.fixture
def kms_key(bucket: str) -> str:
    """The ARN of a key in moto's KMS."""
    made = boto3.client("kms").create_key(KeySpec="RSA_3072", KeyUsage="SIGN_VERIFY")
    return str(made["KeyMetadata"]["Arn"])


def signature_in(version: str) -> bytes:
    s3: Any = boto3.client("s3")
    content: bytes = s3.get_object(Bucket=BUCKET, Key=f"models/demo/{version}/{SIGNATURE}")["Body"].read()
    return content


def test_a_version_is_signed_by_a_key_in_a_file_and_verified(
    store: Store, tiny_artifact: Path, key: tuple[Path, str], slipway: Run
) -> None:
    path, fingerprint = key
    published = slipway("publish", tiny_artifact, "--bucket", BUCKET, "--sign", path, "--json").document
    assert published["signed_by"] == fingerprint
    verified = slipway("verify", "latest", *IN_STORE, "--trusted-keys", fingerprint, "--json").document
    assert (verified["version"], verified["signed_by"], verified["trusted"]) == (
        published["version"],
        fingerprint,
        True,
    )
    assert verified["files"] > 5
    assert "whoever that is" in slipway("verify", "latest", *IN_STORE).out


def test_a_version_is_signed_by_kms_which_is_asked_for_nothing_to_verify_it(
    store: Store, tiny_artifact: Path, kms_key: str, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = slipway("keys", "show", kms_key, "--json").document["fingerprint"]
    assert slipway("publish", tiny_artifact, "--bucket", BUCKET, "--sign", kms_key).code == 0
    s3 = boto3.client("s3")
    monkeypatch.setattr("boto3.client", lambda name, **_: pytest.fail(name) if name == "kms" else s3)
    assert slipway("verify", "latest", *IN_STORE, "--trusted-keys", fingerprint).code == 0


def test_an_alias_is_a_key_too(bucket: str, kms_key: str, slipway: Run) -> None:
    boto3.client("kms").create_alias(AliasName="alias/slipway-prod-signing", TargetKeyId=kms_key)
    shown = slipway("keys", "show", "alias/slipway-prod-signing", "--json").document
    assert shown["fingerprint"] == open_signer(kms_key).fingerprint


def test_openssl_agrees_without_a_line_of_ours(
    store: Store, tiny_artifact: Path, key: tuple[Path, str], slipway: Run, tmp_path: Path
) -> None:
    """The commands of docs/signing.md."""
    path, fingerprint = key
    version = slipway("publish", tiny_artifact, "--bucket", BUCKET, "--sign", path, "--json").document["version"]
    public = tmp_path / "public.pem"
    public.write_text(slipway("keys", "show", path, "--json").document["public_key"])
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", public, "-outform", "der"], check=True, stdout=-1).stdout
    assert hashlib.sha256(der).hexdigest() == fingerprint
    (tmp_path / "signature").write_bytes(Signature.from_json(signature_in(version), source="").signature)
    digest = hashlib.sha256((tiny_artifact / MANIFEST).read_bytes()).hexdigest()
    (tmp_path / "statement").write_text(f"slipway manifest.json sha256:{digest}\n")
    files = ["-verify", public, "-signature", tmp_path / "signature", tmp_path / "statement"]
    done = subprocess.run(["openssl", "dgst", "-sha256", *files], check=False, capture_output=True, text=True)
    assert done.stdout == "Verified OK\n"


def test_a_promotion_can_demand_what_the_service_will_demand(
    store: Store, tiny_artifact: Path, key: tuple[Path, str], slipway: Run
) -> None:
    path, fingerprint = key
    slipway("publish", tiny_artifact, "--bucket", BUCKET)
    assert_refused(slipway("promote", "latest", *IN_STORE, "--trusted-keys", fingerprint), "is not signed", "--sign")
    assert_refused(slipway("verify", "latest", *IN_STORE, "--trusted-keys", fingerprint), "is not signed")
    assert "not signed" in slipway("verify", "latest", *IN_STORE).out
    slipway("publish", tiny_artifact, "--bucket", BUCKET, "--sign", path)
    assert slipway("promote", "latest", *IN_STORE, "--trusted-keys", fingerprint).code == 0


def test_scoring_here_can_demand_it_too(
    store: Store, tiny_artifact: Path, key: tuple[Path, str], slipway: Run, tmp_path: Path
) -> None:
    path, fingerprint = key
    (tmp_path / "films.txt").write_text("a good film\n")
    score = ("score", tmp_path / "films.txt", *IN_STORE, "--workers", 1, "--trusted-keys", fingerprint)
    slipway("publish", tiny_artifact, "--bucket", BUCKET)
    slipway("promote", "latest", *IN_STORE)
    predict = ("predict", "a good film", *IN_STORE, "--trusted-keys", fingerprint)
    assert_refused(slipway(*score), "is not signed")
    assert_refused(slipway(*predict), "is not signed")
    assert not (tmp_path / "films.txt.scored").exists()
    slipway("publish", tiny_artifact, "--bucket", BUCKET, "--sign", path)
    assert (slipway(*score).code, slipway(*predict).code) == (0, 0)


def test_the_environment_names_key_and_trust(
    store: Store, tiny_artifact: Path, key: tuple[Path, str], slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_SIGNING_KEY", str(key[0]))
    monkeypatch.setenv("SLIPWAY_TRUSTED_KEYS", key[1])
    assert slipway("publish", tiny_artifact, "--bucket", BUCKET, "--json").document["signed_by"] == key[1]
    assert slipway("verify", "latest", *IN_STORE, "--json").document["trusted"]


def test_a_damaged_file_is_named_by_verify(store: Store, tiny_artifact: Path, slipway: Run) -> None:
    version = store.publish(tiny_artifact)
    boto3.client("s3").put_object(Bucket=BUCKET, Key=f"models/demo/{version}/card.md", Body=b"Trust me.")
    assert_refused(slipway("verify", version, *IN_STORE), "card.md", "is damaged")
    boto3.client("s3").delete_object(Bucket=BUCKET, Key=f"models/demo/{version}/card.md")
    assert_refused(slipway("verify", version, *IN_STORE), "card.md", "not complete")


def test_a_key_is_not_overwritten_and_a_missing_one_is_named(key: tuple[Path, str], slipway: Run) -> None:
    path = key[0]
    before = path.read_bytes()
    assert_refused(slipway("keys", "new", path), str(path), "exists")
    assert path.read_bytes() == before
    assert_refused(slipway("keys", "show", path.parent / "none.pem"), "none.pem", "cannot be read")
    assert_refused(slipway("keys", "new", path.parent / "no" / "folder.pem"), "cannot be written")


def test_a_public_key_is_shown_and_cannot_sign(
    bucket: str, tiny_artifact: Path, key: tuple[Path, str], slipway: Run, tmp_path: Path
) -> None:
    public = tmp_path / "public.pem"
    public.write_text(slipway("keys", "show", key[0], "--json").document["public_key"])
    assert slipway("keys", "show", public, "--json").document["fingerprint"] == key[1]
    assert_refused(slipway("publish", tiny_artifact, "--bucket", BUCKET, "--sign", public), "is a public key")
    assert Store(BUCKET, "demo").versions() == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "no RSA key of 3,072 or 4,096 bits"),
        (["genpkey", "-algorithm", "ED25519"], "is no RSA key"),
        (["genpkey", "-algorithm", "ED25519", "-aes256", "-pass", "pass:x"], "without a passphrase"),
    ],
    ids=["small", "another kind", "passphrase"],
)
def test_keys_that_no_function_takes_are_refused_before_they_sign(
    tmp_path: Path, slipway: Run, arguments: list[str], reason: str
) -> None:
    subprocess.run(["openssl", *arguments, "-out", tmp_path / "key.pem"], check=True, capture_output=True)
    assert_refused(slipway("keys", "show", tmp_path / "key.pem"), reason)


@pytest.mark.parametrize("key", ["arn:aws:kms:eu-central-1:123456789012:key/unknown", "alias/nobody-s"])
def test_what_kms_refuses_is_told_with_the_key_s_name(bucket: str, slipway: Run, key: str) -> None:
    assert_refused(slipway("keys", "show", key), key, "KMS refused", "kms:GetPublicKey")


def test_a_key_of_kms_that_is_not_for_this_is_refused(bucket: str) -> None:
    made = boto3.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    with pytest.raises(BuildError, match="no RSA key"):
        open_signer(made["KeyMetadata"]["Arn"])
