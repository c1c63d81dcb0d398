"""Where a job keeps its parts and its results: objects by name, created once or replaced whole."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from slipway.errors import StoreError


class Place(Protocol):
    """As ``slipway.objects.Objects``. Every method raises StoreError where the place refuses."""

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Content and a mark of it, or None if there is no such object."""

    def create(self, name: str, body: bytes) -> bool:
        """Write an object that must not exist yet; False if it does."""

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write an object, or over it; it appears whole or not at all. Returns its bytes."""

    def names(self, under: str = "") -> Iterator[str]:
        """Names that begin with ``under``, sorted."""

    def url(self, name: str = "") -> str:
        """Where that is, for people."""


class Folder:
    """A directory of this machine as a place."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> tuple[bytes, str] | None:
        """As ``Place.read``."""
        with _errors(self.root / name):
            try:
                return (self.root / name).read_bytes(), ""
            except FileNotFoundError:
                return None

    def create(self, name: str, body: bytes) -> bool:
        """As ``Place.create``: a hard link is made or is refused, at once."""
        with _errors(self.root / name):
            path = self._made(name)
            with _scratch(path) as scratch:
                scratch.write(body)
                _sync(scratch)
                try:
                    os.link(scratch.name, path)
                except FileExistsError:
                    return False
            return True

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """As ``Place.write``: written beside, then moved."""
        with _errors(self.root / name):
            path = self._made(name)
            with _scratch(path) as scratch:
                size = sum(map(scratch.write, chunks))
                _sync(scratch)
                whole = Path(f"{scratch.name}.whole")
                os.link(scratch.name, whole)
                whole.replace(path)
            return size

    def names(self, under: str = "") -> Iterator[str]:
        """As ``Place.names``."""
        folder = self.root / under.rpartition("/")[0]
        found = (path.relative_to(self.root).as_posix() for path in folder.rglob("*") if path.is_file())
        return iter(sorted(name for name in found if name.startswith(under)))

    def url(self, name: str = "") -> str:
        """As ``Place.url``."""
        return str(self.root / name)

    def _made(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} cannot be kept: {error.strerror or error}.",
            remedy="Make room or choose another place with --out; the same command then goes on where it was.",
        ) from error


def _sync(file: "tempfile._TemporaryFileWrapper[bytes]") -> None:
    file.flush()
    os.fsync(file.fileno())


def _scratch(path: Path) -> "tempfile._TemporaryFileWrapper[bytes]":
    """A file beside ``path`` that is gone afterwards, also after an error; not after a kill, which its name shows."""
    return tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-")
