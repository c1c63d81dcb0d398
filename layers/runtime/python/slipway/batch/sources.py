"""The uploaded file, read in ranges: one of S3 as it was when the job began, or one on this machine's disk."""

import io
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from slipway.errors import BatchError, NoSuchObject

if TYPE_CHECKING:
    from slipway.objects import Objects

CHUNK = 4 << 20  # fetched at once
PART = 1 << 20  # looked at at once: what is found in it must stay small, or memory grows with what malloc keeps apart
_AHEAD = 2  # chunks that are fetched while one is read: one connection to S3 is slower than the reader


class Source(Protocol):
    """Bytes that do not change while they are read."""

    @property
    def size(self) -> int: ...

    def read(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` to before ``end``, fewer where the file ends earlier."""


class FileSource:
    """A file on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size

    def read(self, start: int, end: int) -> bytes:
        """Raises BatchError if the file is gone or cannot be read."""
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                return file.read(max(0, end - start))
        except OSError as error:
            raise BatchError(f"{self.path} cannot be read: {error}.") from error


class S3Source:
    """An object whose content is pinned by its ETag, and by its version where the bucket keeps versions."""

    def __init__(self, objects: "Objects", name: str, *, size: int, etag: str, version_id: str = "") -> None:
        self.size = size
        self._objects = objects
        self._name = name
        self._pin = {"etag": etag, "version_id": version_id}

    def read(self, start: int, end: int) -> bytes:
        """Raises BatchError if it was deleted or overwritten meanwhile, StoreError if S3 cannot be read."""
        if start >= min(end, self.size):
            return b""
        try:
            return self._objects.read_range(self._name, start, min(end, self.size), **self._pin)
        except NoSuchObject as error:
            raise BatchError(
                f"{self._name} was deleted or overwritten while it was being scored.",
                remedy="A file that replaces it is a job of its own.",
            ) from error


class SourceFile(io.RawIOBase):
    """A source as a file that can be sought, for libraries that want one."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        found = self._source.read(self._at, self._at + len(buffer))
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def as_file(source: Source) -> io.BufferedReader:
    """A source as a file, read in chunks."""
    return io.BufferedReader(SourceFile(source), CHUNK)


def chunks(source: Source, start: int = 0) -> Iterator[bytes]:
    """The whole source in parts of its chunks, of which the next ones are fetched meanwhile."""
    begins = iter(range(start, source.size, CHUNK))
    with ThreadPoolExecutor(_AHEAD, "fetch") as pool:
        fetched = deque(pool.submit(source.read, at, at + CHUNK) for at in islice(begins, _AHEAD))
        while fetched:
            chunk = fetched.popleft().result()
            fetched.extend(pool.submit(source.read, at, at + CHUNK) for at in islice(begins, 1))
            yield from (chunk[at : at + PART] for at in range(0, len(chunk), PART))
