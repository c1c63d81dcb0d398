"""Pieces to results. The manifest is written last: who finds it finds everything that it names."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any

from slipway.batch import rendering
from slipway.batch.job import ERRORS, MANIFEST, Job, Plan
from slipway.batch.pieces import Done, errors_name, in_order, piece_name
from slipway.batch.places import Place
from slipway.errors import BatchError, SlipwayError, StoreError

SCHEMA_VERSION = 1
_READERS = 16


def finish(plan: Plan, place: Place, *, memory_mb: int = 0, scored_by: str = "") -> dict[str, Any]:
    """Join what is small, list what is large, write ``errors.jsonl`` and then ``manifest.json``, which is returned.

    ``memory_mb`` is that of the functions that scored, for the cost, where a piece does not say it itself; 0 where
    nobody is billed. Raises BatchError if rows are missing: then nothing is published.
    """
    done = all_done(plan, place)
    _require_all(plan, done)
    job = plan.job
    if plan.joined:
        name = job.results(plan.format)
        results = [{"key": name, "bytes": place.write(name, _joined(plan, done, place)), "rows": _scored(done)}]
    else:
        results = [{"key": piece_name(plan, each), "bytes": each.bytes, "rows": each.scored} for each in done]
    errors = f"{job.outbox}{ERRORS}"
    place.write(errors, (_part(place, errors_name(plan, each), each.error_bytes) for each in done if each.errors))
    document = _manifest(plan, done, results, errors, memory_mb, scored_by)
    _publish(job, place, document)
    return document


def fail(job: Job, place: Place, reason: SlipwayError | str) -> dict[str, Any]:
    """Write a manifest that says why a file was not scored."""
    told = (
        {"reason": reason.detail, "remedy": reason.remedy} if isinstance(reason, SlipwayError) else {"reason": reason}
    )
    document = {**_head(job, "failed"), **told}
    _publish(job, place, document)
    return document


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


def _joined(plan: Plan, done: list[Done], place: Place) -> Iterator[bytes]:
    pieces = (_part(place, piece_name(plan, each), each.bytes) for each in done)
    if plan.format.kind == "parquet":
        from slipway.batch import parquet

        yield from parquet.joined(pieces)
        return
    if head := rendering.header(plan.format, plan.added):
        yield rendering.compress(head, plan.format.compression)
    yield from pieces


def _manifest(
    plan: Plan, done: list[Done], results: list[dict[str, Any]], errors: str, memory_mb: int, scored_by: str
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
        "errors_key": errors,
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


def _publish(job: Job, place: Place, document: dict[str, Any]) -> None:
    body = json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"
    place.write(f"{job.folder}{MANIFEST}", [body])
    place.write(f"{job.outbox}{MANIFEST}", [body])


def _scored(done: list[Done]) -> int:
    return sum(each.scored for each in done)


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
