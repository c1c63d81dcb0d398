"""S3 objects under one prefix: whole reads, conditional writes, and errors in words instead of botocore's."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    TokenRetrievalError,
)

from slipway.errors import NoSuchObject, StoreError

_T = TypeVar("_T")
_PART = 16 << 20  # bytes of an upload's part, of which there may be 10,000
_CONNECT_SECONDS, _READ_SECONDS = 2.0, 10.0
# Botocore tries again what is not answered. An answer that breaks off in the middle is ours to ask for again.
_BROKEN_OFF = (IncompleteReadError, FlexibleChecksumError, HTTPClientError, urllib3.exceptions.HTTPError)
_BODY_TRIES, _BODY_SECONDS = 3, 30.0  # no try begins later
_CONFLICT_PAUSES = (0.1, 0.4, 1.6)  # seconds
_REMEDIES = {
    "AccessDenied": "Ask for s3:GetObject, s3:PutObject and s3:ListBucket on the model bucket.",
    "ExpiredToken": "Your AWS credentials have expired: sign in again, for instance with `aws sso login`.",
    "InvalidAccessKeyId": "AWS does not know these credentials: check AWS_PROFILE or AWS_ACCESS_KEY_ID.",
    "NoSuchBucket": "Deploy first (`cdk deploy`), and take the bucket from the output ModelBucket.",
}


def s3_client() -> Any:
    """An S3 client that gives up in seconds, not minutes: a warm function has an older model to answer with."""
    try:
        client = _client("virtual")  # "auto" presigns for a host that knows no region, and redirects for hours
        return client if _is_of_aws(client.meta.endpoint_url) else _client("auto")
    except (BotoCoreError, ValueError) as error:
        raise StoreError(f"No S3 client: {error}.", remedy="Check AWS_PROFILE and AWS_ENDPOINT_URL.") from error


def _client(addressing_style: str) -> Any:
    return boto3.client(
        "s3",
        config=Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard"},
            signature_version="s3v4",
            s3={"addressing_style": addressing_style},
        ),
    )


def _is_of_aws(url: str) -> bool:
    """Another endpoint, such as a local cloud's, has no host of its own for each bucket."""
    return str(urlsplit(url).hostname).endswith((".amazonaws.com", ".amazonaws.com.cn"))


class Objects:
    """The objects of ``bucket`` whose keys begin with ``prefix``. Every method raises StoreError where S3 refuses."""

    def __init__(self, bucket: str, prefix: str, client: Any = None) -> None:
        self.bucket = bucket
        self.prefix = prefix
        self._s3 = client or s3_client()

    def read(self, name: str, *, at_most: int | None = None) -> tuple[bytes, str] | None:
        """Content, or its first ``at_most`` bytes, and ETag; None if there is no such object."""
        try:
            with self._errors(name):
                return self._get(name, lambda answer: (answer["Body"].read(at_most), answer["ETag"]))
        except NoSuchObject:
            return None

    def read_range(self, name: str, start: int, end: int, *, etag: str, version_id: str = "") -> bytes:
        """The bytes from ``start`` to before ``end`` of the object that has ``etag``.

        Raises NoSuchObject if it is gone or has changed.
        """
        what = {"IfMatch": etag, "Range": f"bytes={start}-{end - 1}"} | (
            {"VersionId": version_id} if version_id else {}
        )
        with self._errors(name):
            try:
                content: bytes = self._get(name, lambda answer: answer["Body"].read(), **what)
            except ClientError as error:
                if error.response["Error"]["Code"] in ("PreconditionFailed", "NoSuchVersion", "412"):
                    raise NoSuchObject(f"{self.url(name)} has changed.") from error
                raise
        if len(content) != end - start:  # rows would be missing, and nobody would know
            raise StoreError(f"S3 gave {len(content):,} of {end - start:,} bytes of {self.url(name)}.")
        return content

    def download(self, name: str, path: Path) -> None:
        """Stream an object to ``path``. Raises OSError where the disk refuses."""
        with self._errors(name), path.open("wb") as file:

            def keep(answer: dict[str, Any]) -> None:
                file.seek(0)
                file.truncate()
                shutil.copyfileobj(answer["Body"], file, 1 << 20)

            self._get(name, keep)

    def create(self, name: str, body: bytes | IO[bytes], *, sha256: str = "") -> bool:
        """Write an object that must not exist yet; False if it does. ``sha256`` (hex) is kept for ``sha256()``."""
        return self._put(name, body, IfNoneMatch="*", Metadata={"sha256": sha256} if sha256 else {})

    def replace(self, name: str, body: bytes, *, etag: str) -> bool:
        """Write over the object that has ``etag``; False if it has changed since."""
        return self._put(name, body, IfMatch=etag)

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write an object, or over it, from a stream: it appears whole or not at all. Returns its bytes."""
        parts = _parts(chunks)
        first = next(parts, b"")
        second = next(parts, None)
        if second is None:
            self._put(name, first)
            return len(first)
        with self._errors(name), self._upload(name) as upload:
            return sum(map(upload, chain([first, second], parts)))

    def sha256(self, name: str) -> str:
        """The checksum that ``create`` was given, or an empty string."""
        with self._errors(name):
            head = self._s3.head_object(Bucket=self.bucket, Key=self.prefix + name)
        return str(head.get("Metadata", {}).get("sha256", ""))

    def etag(self, name: str) -> str:
        """Of the object as it is now, without quotes; empty if there is none."""
        try:
            with self._errors(name):
                return str(self._s3.head_object(Bucket=self.bucket, Key=self.prefix + name)["ETag"]).strip('"')
        except NoSuchObject:
            return ""

    def names(self, under: str = "") -> Iterator[str]:
        """Names that begin with ``under``, without the prefix, in S3's order."""
        with self._errors(under):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + under)
            for page in pages:
                yield from (item["Key"].removeprefix(self.prefix) for item in page.get("Contents", []))

    def upload_url(self, name: str, *, seconds: int) -> str:
        """An address to which anybody may PUT the object for so long."""
        with self._errors(name):
            what = {"Bucket": self.bucket, "Key": self.prefix + name}
            return str(self._s3.generate_presigned_url("put_object", what, ExpiresIn=seconds))

    def url(self, name: str = "") -> str:
        """``s3://bucket/key``, for people."""
        return f"s3://{self.bucket}/{self.prefix}{name}"

    def _get(self, name: str, read: Callable[[dict[str, Any]], _T], **options: Any) -> _T:
        """What ``read`` makes of the object's answer; asked for again where its body breaks off."""
        end = time.monotonic() + _BODY_SECONDS
        for tried in range(1, _BODY_TRIES + 1):
            answer = self._s3.get_object(Bucket=self.bucket, Key=self.prefix + name, **options)
            try:
                return read(answer)
            except _BROKEN_OFF:
                if tried == _BODY_TRIES or time.monotonic() > end:
                    raise
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def _upload(self, name: str) -> Iterator[Callable[[bytes], int]]:
        """Takes the parts of a multipart upload, which is completed, or aborted where an error comes between."""
        what = {"Bucket": self.bucket, "Key": self.prefix + name}
        upload = what | {"UploadId": self._s3.create_multipart_upload(**what)["UploadId"]}
        done: list[dict[str, Any]] = []

        def put(part: bytes) -> int:
            number = len(done) + 1
            answer = self._s3.upload_part(**upload, PartNumber=number, Body=part)
            done.append({"PartNumber": number, "ETag": answer["ETag"]})
            return len(part)

        try:
            yield put
            self._s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
        except BaseException:  # raised again; parts that nobody completes are paid for
            with suppress(ClientError, BotoCoreError):
                self._s3.abort_multipart_upload(**upload)
            raise

    def _put(self, name: str, body: bytes | IO[bytes], **options: Any) -> bool:
        """False where the condition fails. Of a conflict S3 says neither: another write of the key is under way."""
        for pause in (*_CONFLICT_PAUSES, None):
            try:
                with self._errors(name):
                    self._s3.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=body, **options)
            except _ConditionFailed:
                return False
            except _WriteUnderWay:
                if pause is None:
                    raise
                time.sleep(pause)
                if not isinstance(body, bytes):
                    body.seek(0)
            else:
                break
        return True

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise _translate(error, self.url(name)) from error
        except (NoCredentialsError, TokenRetrievalError) as error:
            raise StoreError(f"No AWS credentials: {error}.", remedy="Sign in to AWS, or set AWS_PROFILE.") from error
        except (BotoCoreError, urllib3.exceptions.HTTPError) as error:
            remedy = "Check the network, AWS_ENDPOINT_URL and AWS_REGION."
            raise StoreError(f"{self.url(name)} cannot be reached: {error}.", remedy=remedy) from error


class _ConditionFailed(StoreError):
    pass


class _WriteUnderWay(StoreError):
    pass


_KINDS: dict[str, type[StoreError]] = {
    "NoSuchKey": NoSuchObject,
    "404": NoSuchObject,
    "PreconditionFailed": _ConditionFailed,
    "ConditionalRequestConflict": _WriteUnderWay,  # 409: this write was not done, and the other one may not be
}


def _translate(error: ClientError, where: str) -> StoreError:
    code = error.response["Error"]["Code"]
    message = error.response["Error"].get("Message", "")
    return _KINDS.get(code, StoreError)(f"S3 answered {code} for {where}: {message}", remedy=_REMEDIES.get(code, ""))


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The stream again in parts of ``_PART`` bytes, the last one shorter."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) > _PART:
            yield bytes(held[:_PART])
            del held[:_PART]
    if held:
        yield bytes(held)
