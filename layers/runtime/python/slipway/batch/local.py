"""The same three steps over a file on this machine, on all of its cores: plan, a process a core to score, finish.

Whatever stops it, the next run goes on: what is marked as done is not done again. An interrupt (Ctrl-C) lets each
process write what it has; a kill costs at most the shards under way.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.artifact import read_manifest, verify_files
from slipway.batch.finishing import all_done, finish
from slipway.batch.job import SIDECAR, Job, Plan, Request, Shard
from slipway.batch.places import Folder
from slipway.batch.planning import plan
from slipway.batch.scoring import score
from slipway.batch.sources import FileSource
from slipway.errors import BatchError
from slipway.loading import load_predictor
from slipway.predictor import Predictor

_TICK = 0.25  # seconds between two looks at what is done

Progress = Callable[[int, int], None]  # rows done, of how many


def _silent(done: int, rows: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class _Task:
    """What a process needs to open for itself."""

    artifact: Path
    file: Path
    out: Path
    plan: Plan
    threads: int


def score_file(
    file: Path,
    artifact: Path,
    out: Path,
    *,
    request: Request | None = None,
    workers: int = 0,
    progress: Progress = _silent,
) -> dict[str, Any]:
    """Score ``file`` with the artifact and leave results, ``errors.jsonl`` and ``manifest.json`` in ``out``.

    Returns the manifest. ``workers`` is by default one a core. Raises BatchError where the file cannot be scored,
    ArtifactError where the artifact is damaged, StoreError where ``out`` cannot be written.
    """
    job = _job(file, artifact, request)
    manifest = read_manifest(artifact)
    verify_files(artifact, manifest, manifest.serving_files())
    place = Folder(out)
    made = plan(job, FileSource(file), place)
    shards = _shards(made, place)
    workers = min(workers or os.cpu_count() or 1, len(shards))
    threads = max(1, (os.cpu_count() or 1) // workers)
    _score_all(_Task(artifact, file, out, made, threads), shards, workers, place, progress)
    return finish(made, place, scored_by="slipway score")


def _job(file: Path, artifact: Path, request: Request | None) -> Job:
    try:
        status = file.stat()
        sidecar = file.with_name(file.name + SIDECAR)
        asked = request or (Request.from_json(sidecar.read_bytes(), source=str(sidecar)) if sidecar.exists() else None)
    except OSError as error:
        raise BatchError(f"{file} cannot be read: {error.strerror}.") from error
    manifest = read_manifest(artifact)
    return Job(
        model=manifest.model,
        model_version=manifest.version,
        bucket="",
        key=file.name,
        size=status.st_size,
        etag=f"{status.st_size}-{status.st_mtime_ns}",  # a file that was changed is another job
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        request=asked or Request(),
        local=True,
    )


def _shards(made: Plan, place: Folder) -> list[Shard]:
    kept = place.read(f"{made.job.folder}shards.jsonl")
    assert kept is not None  # noqa: S101  ``plan`` has just written it
    return [Shard(**json.loads(line)) for line in kept[0].splitlines()]


def _score_all(task: _Task, shards: list[Shard], workers: int, place: Folder, progress: Progress) -> None:
    context = multiprocessing.get_context("spawn")
    stop, scored = context.Event(), context.Value("q", 0)
    before = sum(done.rows for done in all_done(task.plan, place))
    with ProcessPoolExecutor(workers, context, _Worker.open, (task, stop, scored)) as pool:
        waiting = {pool.submit(_Worker.score, shard) for shard in shards}
        with _stopping(stop, pool):
            while waiting:
                done, waiting = wait(waiting, _TICK, FIRST_COMPLETED)
                progress(before + scored.value, task.plan.rows)
                for each in done:
                    each.result()


@contextmanager
def _stopping(stop: Any, pool: ProcessPoolExecutor) -> Iterator[None]:
    """On an interrupt or an error: let the processes write what they have, and begin nothing more."""
    try:
        yield
    except BrokenProcessPool as error:
        raise BatchError(
            "A process that was scoring ended by itself.",
            remedy="If memory ran out, take fewer --workers; the same command goes on where it was.",
        ) from error
    except BaseException:  # Ctrl-C too: raised again once the processes have written
        stop.set()
        pool.shutdown(cancel_futures=True)
        raise


class _Worker:
    """One process: a predictor, a source and a place, opened once."""

    it: "_Worker"

    def __init__(self, task: _Task, stop: Any, scored: Any) -> None:
        self.task = task
        self.stop = stop
        self.scored = scored
        self.source = FileSource(task.file)
        self.place = Folder(task.out)
        self.predictor: Predictor = load_predictor(task.artifact, threads=task.threads)

    @classmethod
    def open(cls, task: _Task, stop: Any, scored: Any) -> None:
        """Runs first in the process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to handle
        cls.it = cls(task, stop, scored)

    @classmethod
    def score(cls, shard: Shard) -> None:
        """All of it, unless the run is being stopped."""
        self = cls.it
        if not self.stop.is_set():
            score(
                self.task.plan, shard, self.predictor, self.source, self.place, time_left=self._left, progress=self._add
            )

    def _left(self) -> float:
        return 0.0 if self.stop.is_set() else float("inf")

    def _add(self, rows: int) -> None:
        with self.scored.get_lock():
            self.scored.value += rows
