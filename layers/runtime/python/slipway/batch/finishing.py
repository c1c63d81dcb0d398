"""Pieces to results. The manifest is written last: who finds it finds everything that it names.

The outbox is shared by all jobs of one path, and jobs end in any order: an older one keeps what it made in its own
folder, and its manifest names the newer one.
"""

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any

from slipway.batch import rendering
from slipway.batch.job import ERRORS, JOBS, MANIFEST, Job, Plan
from slipway.batch.pieces import Done, errors_name, in_order, piece_name
from slipway.batch.places import Place
from slipway.errors import BatchError, SlipwayError, StoreError

SCHEMA_VERSION = 1
_READERS = 16
_AHEAD = 64 << 20  # bytes that are read before they are wanted


def finish(plan: Plan, place: Place, *, memory_mb: int = 0, scored_by: str = "") -> dict[str, Any]:
    """Join what is small, list what is large, write ``errors.jsonl`` and then ``manifest.json``, which is returned.

    ``memory_mb`` is that of the functions that scored, for the cost, where a piece does not say it itself; 0 where
    nobody is billed. Raises BatchError if rows are missing: then nothing is published.
    """
    done = all_done(plan, place)
    _require_all(plan, done)
    try:
        return _leave(plan, done, _Outbox(plan.job, place), memory_mb, scored_by)
    except _Superseded as newer:
        return _leave(plan, done, _Outbox(plan.job, place, newer.by), memory_mb, scored_by)


def fail(job: Job, place: Place, reason: SlipwayError | str) -> dict[str, Any]:
    """Write a manifest that says why a file was not scored. A job that has finished stays so, and gives its own."""
    told = (
        {"reason": reason.detail, "remedy": reason.remedy} if isinstance(reason, SlipwayError) else {"reason": reason}
    )
    by, name = superseded_by(job, place), f"{job.folder}{MANIFEST}"
    document = {**_head(job, "failed"), **_newer(by), **told}
    body = _rendered(document)
    if not place.create(name, body):
        kept: dict[str, Any] = json.loads(_read(place, name))
        if kept["state"] == "finished":
            return kept
        place.write(name, [body])
    if not by and job.has_outbox:
        place.write(f"{job.outbox}{MANIFEST}", [body])
    return document


def superseded_by(job: Job, place: Place) -> str:
    """The newer job of the same path, to which the outbox belongs; empty if there is none.

    Events come in any order: where one has moved the pointer back to an older upload, it is mended here.
    """
    kept = None if job.local else place.read(job.pointer)
    latest = kept[0].decode() if kept else job.id
    if latest == job.id:
        return ""
    asked = place.read(f"{JOBS}{job.model}/{latest}/job.json")
    if asked and Job.from_dict(json.loads(asked[0])).is_before(job):
        place.write(job.pointer, [job.id.encode()])
        return ""
    return latest


def all_done(plan: Plan, place: Place) -> list[Done]:
    """Every marked piece in the order of the rows, of each shard as far as they follow one another."""
    names = place.names(f"{plan.job.folder}done/")
    with ThreadPoolExecutor(_READERS) as pool:  # a large job has tens of thousands
        found = [Done(**json.loads(mark)) for mark in pool.map(partial(_read, place), names)]
    shards = groupby(found, key=lambda done: done.shard)
    return [piece for _, pieces in shards for piece in in_order(pieces)]


def _require_all(plan: Plan, done: list[Done]) -> None:
    finished = {each.shard for each in done if each.final}
    rows = sum(each.rows for each in done)
    if len(finished) != plan.shards or rows != plan.rows:
        raise BatchError(
            f"{plan.job.id} is not finished: {len(finished):,} of {plan.shards:,} shards and {rows:,} of "
            f"{plan.rows:,} rows are done.",
            remedy="Redrive the execution: what is done is not done again.",
        )


class _Superseded(Exception):
    """A newer job ``by`` has the outbox."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by


@dataclass(frozen=True)
class _Outbox:
    """Where a job leaves what it made: the outbox, or its own folder if it is known that a newer one, ``by``, has that.

    ``write`` raises _Superseded when that turns out, also while a large file is being written: then it is not.
    """

    job: Job
    place: Place
    by: str = ""

    def name(self, name: str) -> str:
        return f"{self.job.set_aside if self.by else self.job.outbox}{name}"

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        return self.place.write(self.name(name), chunks if self.by else self._while_newest(chunks))

    def _while_newest(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        self._require_newest()
        yield from chunks
        self._require_newest()

    def _require_newest(self) -> None:
        if by := superseded_by(self.job, self.place):
            raise _Superseded(by)


def _leave(plan: Plan, done: list[Done], outbox: _Outbox, memory_mb: int, scored_by: str) -> dict[str, Any]:
    job, place = plan.job, outbox.place
    if plan.joined:
        name = job.results(plan.format)
        size = outbox.write(name, _joined(plan, done, place))
        results = [{"key": outbox.name(name), "bytes": size, "rows": _scored(done)}]
    else:
        results = [{"key": piece_name(plan, each), "bytes": each.bytes, "rows": each.scored} for each in done]
    outbox.write(ERRORS, _ahead(place, ((errors_name(plan, each), each.error_bytes) for each in done if each.errors)))
    document = _manifest(plan, done, results, outbox, memory_mb, scored_by)
    body = _rendered(document)
    place.write(f"{job.folder}{MANIFEST}", [body])
    if not outbox.by:
        outbox.write(MANIFEST, [body])
    return document


def _joined(plan: Plan, done: list[Done], place: Place) -> Iterator[bytes]:
    pieces = _ahead(place, ((piece_name(plan, each), each.bytes) for each in done))
    if plan.format.kind == "parquet":
        from slipway.batch import parquet

        yield from parquet.joined(pieces)
        return
    if head := rendering.header(plan.format, plan.added):
        yield rendering.compress(head, plan.format.compression)
    yield from pieces


def _manifest(
    plan: Plan, done: list[Done], results: list[dict[str, Any]], outbox: _Outbox, memory_mb: int, scored_by: str
) -> dict[str, Any]:
    labels: Counter[str] = Counter()
    for each in done:
        labels.update(each.labels)
    abstained = labels.pop("", 0)
    head = _head(plan.job, "finished")
    seconds = max(0.001, head["seconds"])
    compute = sum(each.seconds for each in done)
    return {
        **head,
        **_newer(outbox.by),
        "rows": plan.rows,
        "scored": _scored(done),
        "errors": sum(each.errors for each in done),
        "labels": dict(sorted(labels.items())),
        "abstained": abstained,
        "rows_per_second": round(plan.rows / seconds, 1),
        "compute_seconds": round(compute, 3),
        **_costs(done, memory_mb),
        "scored_by": scored_by,
        "backends": _backends(done),
        "format": {"kind": plan.format.kind, "compression": plan.format.compression, "encoding": plan.format.encoding},
        "columns": list(plan.added),
        "results": results,
        "errors_key": outbox.name(ERRORS),
        "shards": [
            {"rows": sum(each.rows for each in pieces), "errors": sum(each.errors for each in pieces)}
            for _, group in groupby(done, key=lambda each: each.shard)
            for pieces in [list(group)]
        ],
    }


def _costs(done: list[Done], memory_mb: int) -> dict[str, Any]:
    """What is billed for this job alone. An endpoint's instances are not: it is by the hour, for all jobs together."""
    from slipway.batch.costs import estimate

    if not memory_mb:
        return {"cost_estimate_usd": None}
    work = [(each.seconds, each.memory_mb or memory_mb) for each in done]
    asked = sum(each.asked for each in done)
    return {
        "cost_estimate_usd": estimate(work, asked=asked),
        "cost_includes": ["functions", "workflow", "objects"],
        "cost_excludes": ["instances of the asynchronous endpoint"] if asked else [],
    }


def _backends(done: list[Done]) -> dict[str, dict[str, int]]:
    """What computed how much: rows that have an answer, and the shards that it had a part in."""
    names = sorted({each.backend for each in done})
    return {
        name: {"scored": _scored(own), "shards": len({each.shard for each in own})}
        for name in names
        for own in [[each for each in done if each.backend == name]]
    }


def _head(job: Job, state: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    began = datetime.fromisoformat(job.created) if job.created else now
    return {
        "schema_version": SCHEMA_VERSION,
        "state": state,
        "job": job.id,
        "model": job.model,
        "model_version": job.model_version,
        "input": {"bucket": job.bucket, "key": job.key, "bytes": job.size, "etag": job.etag, "version": job.version_id},
        "started": began.isoformat(timespec="milliseconds"),
        "finished": now.isoformat(timespec="milliseconds"),
        "seconds": round((now - began).total_seconds(), 3),
    }


def _newer(by: str) -> dict[str, str]:
    return {"superseded_by": by} if by else {}


def _rendered(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _scored(done: list[Done]) -> int:
    return sum(each.scored for each in done)


def _ahead(place: Place, parts: Iterable[tuple[str, int]]) -> Iterator[bytes]:
    """What has these names and bytes, in their order; several are read at once, as far as memory allows."""
    waiting: deque[tuple[int, Future[bytes]]] = deque()
    with ThreadPoolExecutor(_READERS) as pool:
        for name, size in parts:
            while waiting and (len(waiting) == _READERS or size + sum(each for each, _ in waiting) > _AHEAD):
                yield waiting.popleft()[1].result()
            waiting.append((size, pool.submit(_part, place, name, size)))
        while waiting:
            yield waiting.popleft()[1].result()


def _part(place: Place, name: str, size: int) -> bytes:
    content = _read(place, name)
    if len(content) != size:  # rows would be missing, and the counts would not say so
        raise StoreError(f"{place.url(name)} came with {len(content):,} of {size:,} bytes.")
    return content


def _read(place: Place, name: str) -> bytes:
    kept = place.read(name)
    if kept is None:
        raise BatchError(
            f"{place.url(name)} is gone.", remedy="Parts of a job are kept for some days: upload it again."
        )
    return kept[0]
