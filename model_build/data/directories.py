"""A directory of labelled text: ``<label>/*.txt``, a text a file, or ``<label>.txt``, a text a line."""

from collections.abc import Iterator
from pathlib import Path

from model_build.data.records import read_lines, read_whole
from model_build.data.texts import shown
from slipway.errors import BuildError


def read_directory(directory: Path) -> Iterator[tuple[str, str]]:
    """Stream texts with their labels, in the order of the names.

    Raises BuildError if there is none, or a file cannot be read.
    """
    for path in text_files(directory):
        if path.parent == directory:
            yield from ((line, path.stem) for line in read_lines(path))
        else:
            yield read_whole(path), path.parent.name


def text_files(directory: Path) -> list[Path]:
    """The files that ``read_directory`` reads. Where directories hold texts, files beside them are about the texts."""
    try:
        entries = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
        inside = [file for path in entries if path.is_dir() for file in sorted(path.iterdir()) if _is_text(file)]
    except OSError as error:
        raise BuildError(f"{shown(directory, 200)} cannot be read: {error.strerror}.") from error
    files = inside or [path for path in entries if _is_text(path)]
    if not files:
        raise BuildError(
            f"{shown(directory, 200)} holds no text.", remedy="Put it there as <label>/*.txt or <label>.txt."
        )
    return files


def _is_text(path: Path) -> bool:
    """Nothing but files: a pipe of that name would be waited for."""
    return path.suffix.lower() == ".txt" and not path.name.startswith(".") and path.is_file()
