"""One pass over the file: what it is, how many rows it has, and where it is cut into shards.

A file that takes longer than one function has is looked through in several steps: each leaves a mark where the next one
goes on.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Self

from slipway.batch.boundaries import IrregularQuotes
from slipway.batch.cutting import Cutter, Names, ended
from slipway.batch.formats import HEAD, Format, sniff, text_column
from slipway.batch.job import Job, Plan, Shard, added_columns
from slipway.batch.places import Place
from slipway.batch.sources import Source
from slipway.batch.streams import utf8_chunks
from slipway.errors import BatchError

JOINED_BYTES = 1 << 30  # of the input; results of more stay in parts
_RESERVE = 60.0  # seconds to write what was found

TimeLeft = Callable[[], float]


def _no_end() -> float:
    return float("inf")


def plan(job: Job, source: Source, place: Place) -> Plan:
    """The plan, made in as many seconds as it takes. As ``go_on_planning``."""
    made = go_on_planning(job, source, place)
    assert made is not None  # noqa: S101  there was no end to the time
    return made


def go_on_planning(job: Job, source: Source, place: Place, *, time_left: TimeLeft = _no_end) -> Plan | None:
    """Look through the file and write ``shards.jsonl`` and ``plan.json``. Done once: again it gives what it gave.

    None if ``time_left`` (seconds) came to an end first: call it again. Raises BatchError where the file as a whole
    cannot be scored, with a reason for its owner.
    """
    if kept := place.read(f"{job.folder}plan.json"):
        return Plan.from_json(kept[0])
    mark = _Mark.read(job, place) or _begin(job, source)
    if mark.format.kind == "parquet":
        from slipway.batch import parquet

        found, shards, taken = parquet.plan(job, source)
        mark = _Mark(format=found, shards=shards, taken=taken, ended=True)
    else:
        mark = _look(mark, job, source, place, time_left)
    if not mark.ended:
        place.write(_Mark.name(job), [mark.to_json()])
        return None
    return _write(mark, job, source, place)


def _write(mark: "_Mark", job: Job, source: Source, place: Place) -> Plan:
    rows = sum(shard.rows for shard in mark.shards)
    if not rows:
        raise BatchError(f"{job.name} has no rows.")
    made = Plan(
        job=job,
        format=mark.format,
        rows=rows,
        shards=len(mark.shards),
        joined=source.size <= JOINED_BYTES,
        added=added_columns(job.request, mark.taken),
    )
    place.write(f"{job.folder}shards.jsonl", (json.dumps(asdict(shard)).encode() + b"\n" for shard in mark.shards))
    place.create(f"{job.folder}plan.json", made.to_json())
    return made


@dataclass(frozen=True, kw_only=True)
class _Mark:
    """How far the file was looked through: ``at`` is the byte where the next shard begins, unless it has ``ended``."""

    format: Format
    at: int = 0
    shards: list[Shard]
    taken: frozenset[str] = frozenset()
    ended: bool = False

    @staticmethod
    def name(job: Job) -> str:
        return f"{job.folder}planning.json"

    @classmethod
    def read(cls, job: Job, place: Place) -> Self | None:
        kept = place.read(cls.name(job))
        if kept is None:
            return None
        document = json.loads(kept[0])
        return cls(
            format=Format.from_dict(document["format"]),
            at=document["at"],
            shards=[Shard(**shard) for shard in document["shards"]],
            taken=frozenset(document["taken"]),
        )

    def to_json(self) -> bytes:
        return json.dumps(asdict(self) | {"taken": sorted(self.taken)}).encode()


def _begin(job: Job, source: Source) -> _Mark:
    found = sniff(job.name, source.read(0, HEAD))
    if found.kind == "csv":
        text_column(found.columns, job.request.text_column, job.name)
    return _Mark(format=found, at=found.beginning, shards=[])


def _look(mark: _Mark, job: Job, source: Source, place: Place, time_left: TimeLeft) -> _Mark:
    try:
        return _scan(mark, job, source, place, time_left)
    except IrregularQuotes:  # then every record is found anew, those of earlier steps too
        found = replace(mark.format, quotes=False)
        return _scan(_Mark(format=found, at=found.beginning, shards=[]), job, source, place, time_left)


def _scan(mark: _Mark, job: Job, source: Source, place: Place, time_left: TimeLeft) -> _Mark:
    found = mark.format
    names = Names(found, mark.taken)
    cutter = Cutter(job, found, place, [*mark.shards], start=mark.at)
    stream = names.watch(utf8_chunks(job.name, found, source, start=mark.at))
    for chunk, offsets, rows in ended(stream, found):
        cutter.add(chunk, offsets, rows)
        if time_left() < _RESERVE and cutter.start > mark.at:
            _require_ranges(job, found)
            return replace(mark, at=cutter.start, shards=cutter.shards, taken=names.taken)
    cutter.close()
    return replace(mark, shards=cutter.shards, taken=names.taken, ended=True)


def _require_ranges(job: Job, found: Format) -> None:
    if found.is_cut_anew:
        packed = found.compression or found.encoding
        raise BatchError(
            f"{job.name} is {packed}, and longer than one function can read: such a file is read from its beginning.",
            remedy="Upload it as UTF-8 without compression, as Parquet, in several files, or score it with Spark.",
        )
