"""S3 for a cold start: reading by obstore, whose import takes a tenth of boto3's (docs/decisions.md has the numbers).

What a serving function does at every cold start, reading the pointer and a version's files, goes through obstore. The
rest, such as listing the ledger when the live version is broken, goes through boto3, which is imported when it happens.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from slipway.errors import NoSuchObject, StoreError

if TYPE_CHECKING:
    from obstore import GetResult

    from slipway.objects import Objects

# Bytes. Four times as many take 20 ms more of a cold start, in page faults; with a quarter, every chunk waits for the
# interpreter that is busy with imports meanwhile.
_CHUNK = 1 << 20
# Seconds, as in ``objects.s3_client``: a warm function has an older model to answer with.
_CLIENT = {"connect_timeout": "2s", "timeout": "10s"}
_RETRIES = {"max_retries": 2, "retry_timeout": timedelta(seconds=12)}


class QuickObjects:
    """As ``Objects``, for a process whose credentials are in its environment (obstore reads them there).

    Under SnapStart they are not, but there the import of boto3 is in the snapshot and costs nothing.
    """

    def __init__(self, bucket: str, prefix: str) -> None:
        self.bucket = bucket
        self.prefix = prefix
        self._store = S3Store(bucket, **_options(os.environ))

    def read(self, name: str, *, at_most: int | None = None) -> tuple[bytes, str] | None:
        """Content, or its first ``at_most`` bytes, and ETag; None if there is no such object. Raises StoreError."""
        try:
            found = self._get(name)
        except NoSuchObject:
            return None
        etag = str(found.meta["e_tag"])
        if at_most is None:
            return b"".join(self._chunks(found, name)), etag
        read = bytearray()
        for chunk in self._chunks(found, name):
            read += chunk
            if len(read) >= at_most:
                break
        return bytes(read[:at_most]), etag

    def download(self, name: str, path: Path) -> None:
        """Stream an object to ``path``. Raises StoreError, and OSError where the disk refuses."""
        found = self._get(name)
        with path.open("wb") as file:
            for chunk in self._chunks(found, name):
                file.write(chunk)

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write a small object, or over it: it appears whole or not at all. Returns its bytes. Raises StoreError."""
        body = b"".join(chunks)
        try:
            with self._errors(name):
                self._store.put(self.prefix + name, body, use_multipart=False)
        except FileNotFoundError as error:
            raise NoSuchObject(f"{self.url(name)} cannot be written: there is no such bucket.") from error
        return len(body)

    def url(self, name: str = "") -> str:
        """``s3://bucket/key``, for people."""
        return f"s3://{self.bucket}/{self.prefix}{name}"

    def __getattr__(self, name: str) -> Any:
        """Whatever else ``Objects`` can do."""
        return getattr(self._whole, name)

    @cached_property
    def _whole(self) -> "Objects":
        from slipway.objects import Objects

        return Objects(self.bucket, self.prefix)

    def _get(self, name: str) -> "GetResult":
        try:
            with self._errors(name):
                return self._store.get(self.prefix + name)
        except FileNotFoundError as error:
            raise NoSuchObject(f"{self.url(name)} is not there.") from error

    def _chunks(self, found: "GetResult", name: str) -> Iterator[bytes]:
        with self._errors(name):
            yield from map(bytes, found.stream(min_chunk_size=_CHUNK))

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise StoreError(
                f"S3 refuses {self.url(name)}.", remedy="The function's role needs s3:GetObject and s3:ListBucket."
            ) from error
        except BaseError as error:  # its text goes on for pages with the source's internals
            raise StoreError(f"{self.url(name)} cannot be read: {str(error).splitlines()[0]}.") from error


def _options(env: Mapping[str, str]) -> dict[str, Any]:
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    options: dict[str, Any] = {"region": region, "client_options": _CLIENT, "retry_config": _RETRIES}
    if endpoint := env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL"):
        options |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
        options["client_options"] = _CLIENT | {"allow_http": endpoint.startswith("http://")}
    return options
