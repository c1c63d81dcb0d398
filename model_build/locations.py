"""Where inputs come from: a local path, ``package:module/path`` inside an installed package, or ``s3://bucket/key``."""

import importlib.util
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_build.data.texts import shown
from slipway.errors import BuildError
from slipway.objects import Objects

_PACKAGE = "package:"
_S3 = "s3://"


@contextmanager
def local_file(location: str, *, key: str = "data.path") -> Iterator[Path]:
    """A readable local file for ``location``; one from S3 is gone when the context ends.

    Raises BuildError, with ``key`` to look at, if there is no such file; StoreError if S3 refuses.
    """
    with local_input(location, key=key) as path:
        if path.is_dir():
            raise BuildError(f"There is no file {shown(path, 200)}: it is a directory.", remedy=_check(key))
        yield path


@contextmanager
def local_input(location: str, *, key: str = "data.path") -> Iterator[Path]:
    """As ``local_file``, and a directory is as good. A pipe or a device, which may never end, is neither."""
    if location.startswith(_S3):
        with tempfile.TemporaryDirectory() as scratch:
            yield _download(location, Path(scratch))
        return
    path = local_path(location)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise BuildError(f"There is no file {shown(path, 200)}: {why}.", remedy=_check(key)) from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise BuildError(f"{shown(path, 200)} is neither a file nor a directory.", remedy=_check(key))
    yield path


def local_path(location: str) -> Path:
    """The path that ``location`` stands for, whether or not anything is there."""
    if not location.startswith(_PACKAGE):
        return _expanded(location)
    module, _, inside = location.removeprefix(_PACKAGE).partition("/")
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # of a package inside one that is not there; of an empty name
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise BuildError(
            f"{location} needs the Python package {module!r}, which is not installed.",
            remedy="For the demo: pip install -e '.[demo]'.",
        )
    return Path(spec.submodule_search_locations[0]) / inside


def _check(key: str) -> str:
    return f"Check {key} in the configuration."


def _expanded(location: str) -> Path:
    try:
        return Path(location).expanduser()
    except RuntimeError as error:
        raise BuildError(f"{location} names a user whom this machine does not know.") from error


def _download(location: str, scratch: Path) -> Path:
    bucket, _, key = location.removeprefix(_S3).partition("/")
    name = Path(key).name
    if not bucket or key.endswith("/") or name in ("", ".."):
        raise BuildError(f"{location!r} is not s3://bucket/key.")
    Objects(bucket, "").download(key, scratch / name)
    return scratch / name
