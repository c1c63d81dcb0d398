"""Whole reads, conditional writes, and S3's refusals in words. Every failure is a StoreError with its remedy."""

import io
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from slipway.errors import NoSuchObject, StoreError
from slipway.objects import Objects, s3_client


class Refusing:
    """An S3 client whose every call S3 answers with ``code``."""

    def __init__(self, code: str) -> None:
        self._error = ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")

    def __getattr__(self, name: str) -> Any:
        def call(**_: Any) -> None:
            raise self._error

        return call


@pytest.fixture
def objects(bucket: str) -> Objects:
    return Objects(bucket, "models/demo/")


def test_what_is_created_can_be_read_and_listed(objects: Objects) -> None:
    assert objects.create("a/b", b"content", sha256="c0ffee")
    found = objects.read("a/b")
    assert found
    assert found[0] == b"content"
    assert objects.sha256("a/b") == "c0ffee"
    assert list(objects.names()) == ["a/b"]


def test_an_object_is_never_created_twice(objects: Objects) -> None:
    assert objects.create("a", b"first")
    assert not objects.create("a", b"second")
    found = objects.read("a")
    assert found
    assert found[0] == b"first"


def test_an_object_is_replaced_only_by_who_read_its_last_state(objects: Objects) -> None:
    objects.create("a", b"first")
    found = objects.read("a")
    assert found
    assert objects.replace("a", b"second", etag=found[1])
    assert not objects.replace("a", b"third", etag=found[1])
    again = objects.read("a")
    assert again
    assert again[0] == b"second"


def test_an_absent_object_reads_as_none(objects: Objects) -> None:
    assert objects.read("absent") is None


def test_an_object_without_our_checksum_has_an_empty_one(objects: Objects) -> None:
    objects.create("a", b"content")
    assert objects.sha256("a") == ""


def test_downloading_an_absent_object_is_a_store_error(objects: Objects, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="absent"):
        objects.download("absent", tmp_path / "file")


def test_names_go_on_after_the_first_page(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    expected = [f"{i}/manifest.json" for i in range(8)]
    for name in expected:
        objects.create(name, b"")
    assert list(objects.names()) == expected
    assert list(objects.names("7/")) == ["7/manifest.json"]


def test_names_of_another_model_with_the_same_beginning_are_not_listed(objects: Objects) -> None:
    Objects(objects.bucket, "models/demo-2/").create("a", b"")
    assert list(objects.names()) == []


def test_a_missing_bucket_is_named_with_the_remedy() -> None:
    with moto.mock_aws(), pytest.raises(StoreError, match=r"NoSuchBucket for s3://nowhere/p/a") as caught:
        Objects("nowhere", "p/").read("a")
    assert "Deploy first" in caught.value.remedy


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("AccessDenied", "s3:GetObject"),
        ("ExpiredToken", "sign in again"),
        ("InvalidAccessKeyId", "AWS_PROFILE"),
        ("NoSuchBucket", "Deploy first"),
    ],
)
def test_each_refusal_comes_with_its_remedy(code: str, remedy: str, tmp_path: Path) -> None:
    objects = Objects("bucket", "p/", Refusing(code))
    calls: list[Callable[[], object]] = [
        lambda: objects.read("a"),
        lambda: objects.create("a", b""),
        lambda: objects.replace("a", b"", etag="e"),
        lambda: objects.sha256("a"),
        lambda: objects.download("a", tmp_path / "a"),
    ]
    for call in calls:
        with pytest.raises(StoreError, match=f"S3 answered {code} for s3://bucket/p/a") as caught:
            call()
        assert remedy in caught.value.remedy


class Scripted:
    """An S3 client whose ``get_object`` and ``put_object`` do what the script says, one call after the other."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.bodies: list[bytes] = []

    def get_object(self, **_: Any) -> dict[str, Any]:
        content, length = self.script.pop(0)
        return {"Body": StreamingBody(io.BytesIO(content), length), "ETag": '"e"'}

    def put_object(self, *, Body: Any, **_: Any) -> None:  # noqa: N803  boto3's name
        self.bodies.append(Body if isinstance(Body, bytes) else Body.read())
        if code := self.script.pop(0):
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "PutObject")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.objects._CONFLICT_PAUSES", (0.0, 0.0, 0.0))


def test_a_write_that_meets_another_one_under_way_is_tried_again(pauses: None) -> None:
    conflict = "ConditionalRequestConflict"
    client = Scripted(conflict, conflict, None)
    assert Objects("bucket", "p/", client).create("a", io.BytesIO(b"content"))
    assert client.bodies == [b"content"] * 3, "from the beginning each time"
    assert not Objects("bucket", "p/", Scripted(conflict, "PreconditionFailed")).create("a", b"")


def test_a_write_that_was_never_done_does_not_count_as_an_object_that_is_there(pauses: None) -> None:
    objects = Objects("bucket", "p/", Refusing("ConditionalRequestConflict"))
    for call in (lambda: objects.create("a", b""), lambda: objects.replace("a", b"", etag="e")):
        with pytest.raises(StoreError, match="ConditionalRequestConflict"):
            call()


def test_a_body_that_breaks_off_is_asked_for_again(tmp_path: Path) -> None:
    assert Objects("b", "", Scripted((b"hal", 6), (b"", 6), (b"halves", 6))).read("a") == (b"halves", '"e"')
    Objects("b", "", Scripted((b"hal", 6), (b"halves", 6))).download("a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"halves"


def test_a_body_that_breaks_off_each_time_is_an_error_in_words() -> None:
    with pytest.raises(StoreError, match="cannot be reached"):
        Objects("b", "", Scripted(*[(b"hal", 6)] * 3)).read("a")


@pytest.mark.parametrize("content", [b"hal", b"halves and more"])
def test_a_range_that_came_short_or_long_is_an_error(content: bytes) -> None:
    with pytest.raises(StoreError, match=f"gave {len(content)} of 6 bytes"):
        Objects("b", "", Scripted((content, len(content)))).read_range("a", 0, 6, etag="e")


@pytest.fixture
def real_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No moto, no shared session, no configuration of whoever runs the tests; and no waiting for retries."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    return monkeypatch


def test_an_unreachable_endpoint_is_said_in_words_with_a_remedy(real_network: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        Objects("bucket", "p/").read("a")
    assert caught.value.remedy


def test_missing_credentials_are_said_in_words_with_a_remedy(real_network: pytest.MonkeyPatch) -> None:
    real_network.delenv("AWS_ACCESS_KEY_ID")
    real_network.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match="No AWS credentials") as caught:
        Objects("bucket", "p/").read("a")
    assert "AWS_PROFILE" in caught.value.remedy


def test_half_of_the_credentials_are_said_in_words_with_a_remedy(real_network: pytest.MonkeyPatch) -> None:
    real_network.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError) as caught:
        Objects("bucket", "p/").read("a")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_PROFILE", "no-such-profile"), ("AWS_ENDPOINT_URL", "no url")], ids=str
)
def test_a_mistyped_variable_is_said_in_words(real_network: pytest.MonkeyPatch, name: str, value: str) -> None:
    real_network.setenv(name, value)
    with pytest.raises(StoreError, match=value):
        Objects("bucket", "p/").read("a")


def test_a_bucket_name_that_cannot_be_one_is_said_in_words(real_network: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="no bucket!"):
        Objects("no bucket!", "p/").read("a")


class Cut:
    """An S3 client whose connection ends in the middle of the body."""

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": StreamingBody(io.BytesIO(b"half"), 8), "ETag": '"e"'}


def test_a_connection_that_ends_in_the_middle_is_a_store_error(tmp_path: Path) -> None:
    objects = Objects("bucket", "p/", Cut())
    with pytest.raises(StoreError, match="s3://bucket/p/a"):
        objects.read("a")
    with pytest.raises(StoreError, match="s3://bucket/p/a"):
        objects.download("a", tmp_path / "a")


def test_the_client_gives_up_in_seconds(bucket: str) -> None:
    config = s3_client().meta.config
    assert config.connect_timeout <= 5
    assert config.read_timeout <= 10


PART = 16 << 20  # bytes of an upload's part


def test_a_stream_of_several_parts_is_written_whole_and_over_what_was_there(bucket: str) -> None:
    objects = Objects(bucket, "a/")
    chunks = [bytes([number]) * (PART // 2 + 7) for number in range(5)]
    for stream in (chunks, chunks[:1], []):
        assert objects.write("large", iter(stream)) == sum(map(len, stream))
        kept = objects.read("large")
        assert kept
        assert kept[0] == b"".join(stream)


def test_a_stream_that_breaks_leaves_what_was_there_and_no_paid_parts(bucket: str) -> None:
    objects = Objects(bucket, "a/")
    objects.write("large", [b"before"])

    def breaks() -> Iterator[bytes]:
        yield bytes(PART + 1)
        yield bytes(PART + 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        objects.write("large", breaks())
    kept = objects.read("large")
    assert kept
    assert kept[0] == b"before"
    assert "Uploads" not in boto3.client("s3").list_multipart_uploads(Bucket=bucket)


def test_a_range_is_of_the_content_that_was_meant_or_not_read(bucket: str) -> None:
    objects = Objects(bucket, "a/")
    objects.write("file", [b"0123456789"])
    kept = objects.read("file")
    assert kept
    etag = kept[1].strip('"')
    assert objects.read_range("file", 2, 5, etag=etag) == b"234"
    objects.write("file", [b"another"])
    with pytest.raises(NoSuchObject, match="has changed"):
        objects.read_range("file", 2, 5, etag=etag)


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "eu-south-2"])
def test_an_address_to_upload_to_names_the_region_s_own_host(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The global one redirects for hours after a bucket is made, and never serves the newer regions."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    with moto.mock_aws():
        url = Objects("a-bucket", "inbox/").upload_url("films.csv", seconds=60)
    host = "a-bucket.s3.amazonaws.com" if region == "us-east-1" else f"a-bucket.s3.{region}.amazonaws.com"
    assert url.startswith(f"https://{host}/inbox/films.csv?")


def test_an_endpoint_of_one_s_own_needs_no_host_for_each_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:4566")
    url = Objects("a-bucket", "inbox/").upload_url("films.csv", seconds=60)
    assert url.startswith("http://127.0.0.1:4566/a-bucket/inbox/films.csv?")
