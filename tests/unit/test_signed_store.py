"""A store that trusts keys: what is not signed by one of them is neither fetched nor promoted."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest

from model_build.signing import Signer, make_key, open_signer
from slipway import spark
from slipway.artifact import MANIFEST, read_manifest
from slipway.errors import ArtifactError, Conflict, SettingsError
from slipway.loading import load_predictor
from slipway.signatures import SIGNATURE
from slipway.store import Store
from tests.conftest import BUCKET


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return make_key(tmp_path_factory.mktemp("keys") / "signing.pem")


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return make_key(tmp_path_factory.mktemp("keys") / "foreign.pem")


@pytest.fixture
def careful(bucket: str, key: Signer) -> Store:
    """The store as a function sees it that serves signed versions only."""
    return Store(bucket, "demo", trusted_keys=key.fingerprint)


def objects() -> dict[str, bytes]:
    """What is in the bucket, by name below the model."""
    s3 = boto3.client("s3")
    listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {
        item["Key"].removeprefix("models/demo/"): s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
        for item in listed
    }


def put(name: str, body: bytes) -> None:
    boto3.client("s3").put_object(Bucket=BUCKET, Key=f"models/demo/{name}", Body=body)


def refused(store: Store, version: str, tmp_path: Path, reason: str) -> None:
    """Neither served nor promoted, and nothing of it left on the disk."""
    with pytest.raises(ArtifactError, match=reason):
        store.fetch(version, None, tmp_path / "cache")
    with pytest.raises(ArtifactError, match=reason):
        store.promote(version, by="ada", why="")
    assert store.live() is None
    assert not list(tmp_path.glob("cache/*"))


def test_a_signed_version_is_fetched_served_and_promoted(
    store: Store, careful: Store, key: Signer, tiny_artifact: Path, tmp_path: Path
) -> None:
    version = store.publish(tiny_artifact, sign=key.manifest_signature)
    load_predictor(careful.fetch(version, None, tmp_path))
    assert careful.promote(version, by="ada", why="").version == version
    assert careful.check(version) == read_manifest(tiny_artifact)
    assert careful.signer(version) == store.signer(version) == key.fingerprint
    assert store.versions() == [version]


def test_the_signature_is_there_before_the_version_is(bucket: str, key: Signer, tiny_artifact: Path) -> None:
    order: list[str] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(boto3.client("s3"), name)

        def put_object(self, **arguments: Any) -> Any:
            order.append(arguments["Key"].rpartition("/")[2])
            return boto3.client("s3").put_object(**arguments)

    Store(bucket, "demo", Watched()).publish(tiny_artifact, sign=key.manifest_signature)
    assert order[-2:] == [SIGNATURE, MANIFEST]


def test_without_trusted_keys_a_signature_changes_nothing(
    store: Store, key: Signer, tiny_artifact: Path, tmp_path: Path
) -> None:
    version = store.publish(tiny_artifact, sign=key.manifest_signature)
    put(f"{version}/{SIGNATURE}", b"nonsense")
    load_predictor(store.fetch(version, None, tmp_path))
    store.promote(version, by="ada", why="")


def test_an_unsigned_version_is_refused_until_it_is_published_again_with_a_key(
    store: Store, careful: Store, key: Signer, tiny_artifact: Path, tmp_path: Path
) -> None:
    version = store.publish(tiny_artifact)
    assert store.signer(version) is None
    refused(careful, version, tmp_path, "is not signed")
    before = objects()
    assert store.publish(tiny_artifact, sign=key.manifest_signature) == version
    assert objects().keys() - before.keys() == {f"{version}/{SIGNATURE}"}
    assert before.items() <= objects().items()
    load_predictor(careful.fetch(version, None, tmp_path))


def test_publishing_a_signed_version_again_changes_nothing(store: Store, key: Signer, tiny_artifact: Path) -> None:
    store.publish(tiny_artifact, sign=key.manifest_signature)
    before = boto3.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    store.publish(tiny_artifact, sign=key.manifest_signature)
    store.publish(tiny_artifact)
    assert boto3.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"] == before


def test_another_key_signs_in_the_place_of_the_first(
    store: Store, careful: Store, key: Signer, foreign: Signer, tiny_artifact: Path, tmp_path: Path
) -> None:
    version = store.publish(tiny_artifact, sign=key.manifest_signature)
    store.publish(tiny_artifact, sign=foreign.manifest_signature)
    refused(careful, version, tmp_path, f"signed by the key {foreign.fingerprint[:16]}…, which is not trusted")
    both = Store(BUCKET, "demo", trusted_keys=f"{key.fingerprint},{foreign.fingerprint}")
    load_predictor(both.fetch(version, None, tmp_path))


def test_two_who_sign_at_once_do_not_write_over_each_other(
    bucket: str, store: Store, key: Signer, foreign: Signer, tiny_artifact: Path
) -> None:
    store.publish(tiny_artifact, sign=key.manifest_signature)

    class Raced:
        def __getattr__(self, name: str) -> Any:
            return getattr(boto3.client("s3"), name)

        def put_object(self, **arguments: Any) -> Any:
            if "IfMatch" in arguments:
                put(arguments["Key"].removeprefix("models/demo/"), b"another's")
            return boto3.client("s3").put_object(**arguments)

    with pytest.raises(Conflict, match=r"manifest\.sig was changed by somebody else"):
        Store(bucket, "demo", Raced()).publish(tiny_artifact, sign=foreign.manifest_signature)


# --- somebody who may write to the bucket, and cannot sign


def test_every_file_is_covered(store: Store, careful: Store, key: Signer, tiny_artifact: Path, tmp_path: Path) -> None:
    version = store.publish(tiny_artifact, sign=key.manifest_signature)
    for name, content in objects().items():
        flipped = bytearray(content)
        flipped[len(flipped) // 2] ^= 1
        put(name, bytes(flipped))
        with pytest.raises(ArtifactError):
            careful.check(version)
        put(name, content)
    careful.check(version)


def test_a_manifest_with_the_right_checksums_of_other_weights_is_refused(
    store: Store, careful: Store, key: Signer, tiny_artifact: Path, tmp_path: Path
) -> None:
    """All is consistent, as a build leaves it; only the signature cannot be made."""
    directory = Path(shutil.copytree(tiny_artifact, tmp_path / "theirs"))
    evil = dataclasses.replace(read_manifest(directory), version="", labels=["negative", "positive"][::-1])
    (directory / MANIFEST).write_bytes(evil.to_json())
    signed = store.publish(tiny_artifact, sign=key.manifest_signature)
    version = store.publish(directory)
    load_predictor(store.fetch(version, None, tmp_path / "careless"))
    refused(careful, version, tmp_path, "is not signed")
    put(f"{version}/{SIGNATURE}", objects()[f"{signed}/{SIGNATURE}"])
    refused(careful, version, tmp_path, "the signature is another version's")


def test_a_signed_version_in_the_place_of_another_is_refused(
    store: Store, careful: Store, key: Signer, tiny_artifact: Path, second_artifact: Path, tmp_path: Path
) -> None:
    first = store.publish(tiny_artifact, sign=key.manifest_signature)
    second = store.publish(second_artifact, sign=key.manifest_signature)
    for name, content in objects().items():
        if name.startswith(first):
            put(name.replace(first, second), content)
    with pytest.raises(ArtifactError, match=f"is that of demo {first}"):
        careful.fetch(second, None, tmp_path / "cache")
    with pytest.raises(ArtifactError, match=f"is that of demo {first}"):
        careful.manifest(second)


def test_a_signed_version_of_another_model_is_refused(
    bucket: str, store: Store, key: Signer, tiny_artifact: Path, tmp_path: Path
) -> None:
    version = store.publish(tiny_artifact, sign=key.manifest_signature)
    for name, content in objects().items():
        boto3.client("s3").put_object(Bucket=BUCKET, Key=f"models/tickets/{name}", Body=content)
    other = Store(bucket, "tickets", trusted_keys=key.fingerprint)
    with pytest.raises(ArtifactError, match=f"of 'tickets' is that of demo {version}"):
        other.fetch(version, None, tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "no signature"), (b"{", "no signature"), (b"[]", "no signature"), (b" " * (1 << 20), "longer than 8,192")],
    ids=["empty", "broken", "a list", "a megabyte"],
)
def test_a_signature_that_is_none_is_refused(
    store: Store, careful: Store, tiny_artifact: Path, tmp_path: Path, content: bytes, reason: str
) -> None:
    version = store.publish(tiny_artifact)
    put(f"{version}/{SIGNATURE}", content)
    refused(careful, version, tmp_path, reason)


def test_an_older_signed_version_may_come_back(
    store: Store, careful: Store, key: Signer, tiny_artifact: Path, second_artifact: Path, tmp_path: Path
) -> None:
    """A rollback is one: the signature says who made a version, not that it is the best one."""
    first = store.publish(tiny_artifact, sign=key.manifest_signature)
    second = store.publish(second_artifact, sign=key.manifest_signature)
    careful.promote(first, by="ada", why="")
    careful.promote(second, by="ada", why="")
    assert careful.rollback(by="ada", why="").version == first
    load_predictor(careful.fetch(first, None, tmp_path))


def test_a_spark_worker_scores_with_signed_versions_only(
    store: Store, key: Signer, tiny_artifact: Path, tmp_path: Path
) -> None:
    version = store.publish(tiny_artifact)
    directory = Path(shutil.copytree(tiny_artifact, tmp_path / "everywhere"))
    options = ["in", "out", "--trusted-keys", key.fingerprint]
    in_directory = spark._where(spark._parser().parse_args([*options, "--artifact", str(directory)]))
    for where in (in_directory, (key.fingerprint, BUCKET, "demo", version)):
        with pytest.raises(ArtifactError, match="is not signed"):
            spark._predictor(where)
    store.publish(tiny_artifact, sign=key.manifest_signature)
    (directory / SIGNATURE).write_bytes(key.manifest_signature((directory / MANIFEST).read_bytes()))
    for where in (in_directory, (key.fingerprint, BUCKET, "demo", version)):
        assert spark._predictor(where).manifest.version == version


def test_keys_that_are_none_are_no_reason_to_trust_everybody(bucket: str) -> None:
    with pytest.raises(SettingsError, match="is no fingerprint"):
        Store(bucket, "demo", trusted_keys="tru*")


def test_a_list_of_no_keys_trusts_nobody(bucket: str, store: Store, tiny_artifact: Path, tmp_path: Path) -> None:
    version = store.publish(tiny_artifact)
    refused(Store(bucket, "demo", trusted_keys=" , "), version, tmp_path, "is not signed")


def test_a_key_file_signs_as_openssl_does(tmp_path: Path) -> None:
    made = make_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert open_signer(str(tmp_path / "key.pem")).manifest_signature(b"{}") == made.manifest_signature(b"{}")
