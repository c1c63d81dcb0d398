"""Which files of an interrupted build can be gone on from after a copy that was cut off at any point.

A build on one machine writes what counts last. A directory that is kept in S3 file by file knows no such order: there
everything is looked into.
"""

import json
import shutil
import zipfile
from pathlib import Path

_NEEDED = ("model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")


def drop_torn(work: Path) -> None:
    """Keep whole checkpoints, trained weights and notes of the work directory; the rest is made again in minutes."""
    for entry in list(work.iterdir()):
        if entry.is_dir() and ((entry / "checkpoints").is_dir() or (entry / "trained.pt").exists()):
            _drop_torn_training(entry)
        elif entry.is_dir():
            shutil.rmtree(entry)
        elif not is_whole(entry):
            entry.unlink()


def is_whole(file: Path) -> bool:
    """Whether a file has the end that its kind must have: torch's archives, safetensors, JSON. No other is."""
    if file.suffix in (".pt", ".pth", ".bin"):
        return zipfile.is_zipfile(file)
    if file.suffix == ".safetensors":
        return _safetensors_is_whole(file)
    try:
        json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _drop_torn_training(training: Path) -> None:
    for checkpoint in (training / "checkpoints").glob("checkpoint-*"):
        files = [path for path in checkpoint.iterdir() if path.is_file()]
        if not {path.name for path in files}.issuperset(_NEEDED) or not all(map(is_whole, files)):
            shutil.rmtree(checkpoint)
    for file in [path for path in training.iterdir() if path.is_file()]:
        if not is_whole(file):
            file.unlink()


def _safetensors_is_whole(file: Path) -> bool:
    """8 bytes say how long the header is, and the header where the last tensor ends."""
    size = file.stat().st_size
    with file.open("rb") as content:
        length = int.from_bytes(content.read(8), "little")
        if not 0 < length <= size - 8:
            return False
        header = content.read(length)
    try:
        ends = [entry["data_offsets"][1] for name, entry in json.loads(header).items() if name != "__metadata__"]
    except (ValueError, LookupError, TypeError, AttributeError):  # no JSON, or not of this form
        return False
    return size == 8 + length + max(ends, default=-1)
