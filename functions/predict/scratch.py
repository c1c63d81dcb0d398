"""The folder of one process, with a mark of what it is about: what kills a process is found there by the next one.

Lambda lets a function write to /tmp only. After a crash, or an end of memory or of time, it starts a new process in the
same sandbox, with /tmp as it was: what the dead have left would fill it.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

KILLED = "a process ended while it loaded this version or asked it: a crash, no memory left, or out of time"
# Ends in a row from which a version is left alone. One may be Lambda's own: it ends a start that takes ten seconds.
FATAL = 2
_PREFIX, _MARK = "slipway-", "mark"
Asked = tuple[str, str]  # a model and its version


class Scratch:
    """``folder`` is this process's alone; ``killers`` are what the ones before it have died of.

    Safe to use from several threads. A mark that cannot be written is left out: no request fails for a full disk.
    """

    def __init__(self, parent: Path) -> None:
        """Remove what dead processes have left under ``parent``."""
        self._ends = dict(_clear(parent))
        self.killers = frozenset(asked for asked, ends in self._ends.items() if ends >= FATAL)
        self.folder = parent / f"{_PREFIX}{os.urandom(8).hex()}"  # ``tempfile`` takes 2 ms to import
        self.folder.mkdir(mode=0o700)
        self._mark = _locked(self.folder / _MARK, os.O_CREAT)
        self._now: Counter[Asked] = Counter()
        self._lock = Lock()

    @contextmanager
    def at_risk(self, model: str, version: str, ends: int = 1) -> Iterator[None]:
        """While it lasts, an end of this process is held against the version, and counts as so many."""
        ends += self._ends.get((model, version), 0)
        self._count(model, version, ends)
        try:
            yield
        finally:
            self._ends.pop((model, version), None)
            self._count(model, version, -ends)

    def _count(self, model: str, version: str, ends: int) -> None:
        with self._lock, suppress(OSError):
            self._now[model, version] += ends
            lines = [" ".join((*asked, str(count))) for asked, count in self._now.items() if count]
            os.ftruncate(self._mark, 0)
            os.pwrite(self._mark, "\n".join(lines).encode(), 0)


def _clear(parent: Path) -> Iterator[tuple[Asked, int]]:
    """What each dead process was about, and the ends that this makes; its folder goes."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # BlockingIOError: its process lives; FileNotFoundError: it has just begun
            mark = _locked(folder / _MARK)
            try:
                lines = os.pread(mark, 4096, 0).decode(errors="replace").splitlines()
                remove(folder)
            finally:
                os.close(mark)
            yield from _read(lines)


def _read(lines: list[str]) -> Iterator[tuple[Asked, int]]:
    for line in lines:
        with suppress(ValueError):  # cut off by a full disk
            model, version, ends = line.split(" ")
            yield (model, version), int(ends)


def _locked(path: Path, flags: int = 0) -> int:
    """The lock tells the living from the dead: the kernel frees it with its process, however that ends."""
    file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | flags, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file


def remove(folder: Path) -> None:
    """It and what is in it, as far as that goes."""
    import shutil  # no start needs it, and it brings two decompressors along

    shutil.rmtree(folder, ignore_errors=True)
