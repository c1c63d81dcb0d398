"""What is done of a shard: a piece of results, the errors beside it, and the mark that makes both count.

Whoever comes second changes nothing: each of the three is created only if it is not there, the mark last. Results and
errors are named by what is in them, and the mark says which are meant: an attempt that was killed before its mark may
have left others, since another CPU rounds otherwise. Nobody reads those; what lies under jobs/ expires. What an
endpoint answered lies under names of its own.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from slipway.answers import Answer
from slipway.batch import rendering
from slipway.batch.job import Plan, Shard
from slipway.batch.places import Place
from slipway.batch.rows import Row


@dataclass(frozen=True, kw_only=True)
class Done:
    """A piece: rows of a shard, counted from its first, that are scored and written. A ``final`` one ends the shard.

    ``seconds`` are those of functions with ``memory_mb``; ``backend`` is what computed, as answers tell it. ``asked``
    says that an endpoint did, whose own time is not counted here. ``digest`` is of results and errors; empty in marks
    of an older release, whose pieces have names without one.
    """

    shard: int
    start: int
    end: int
    final: bool
    scored: int
    errors: int
    labels: dict[str, int]
    seconds: float
    bytes: int
    error_bytes: int
    memory_mb: int = 0
    backend: str = ""
    asked: bool = False
    digest: str = ""

    @property
    def rows(self) -> int:
        """Scored and refused."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Who made a piece, and what it took: the members of ``Done`` with these names."""

    seconds: float
    backend: str
    memory_mb: int = 0
    asked: bool = False


@dataclass(frozen=True)
class Window:
    """Rows, and for those of a Parquet file the batch that they become."""

    rows: list[Row]
    batch: Any = None


@dataclass
class Piece:
    """What is scored and not yet written."""

    plan: Plan
    body: list[bytes] = field(default_factory=list)
    batches: list[Any] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    scored: int = 0

    def add(self, window: Window, good: Sequence[Row], answers: Sequence[Answer], broken: Iterable[Row]) -> None:
        """The rows of one more window: ``good`` ones with their answers, and those that could not be scored."""
        found, version = self.plan.format, self.plan.job.model_version
        added = [rendering.values(each, version, self.plan.added) for each in answers]
        if window.batch is not None and good:
            from slipway.batch import parquet

            self.batches.append(parquet.scored(window.batch, [row.content for row in good], added))
        elif window.batch is None:
            self.body += [rendering.render(row, more, found) for row, more in zip(good, added, strict=True)]
        self.errors += map(rendering.render_error, broken)
        self.labels.update(each.label or "" for each in answers)
        self.rows += len(window.rows)
        self.scored += len(good)

    def write(self, shard: Shard, start: int, place: Place, *, final: bool, effort: Effort) -> None:
        """Results and errors first, then the mark: what is marked is whole."""
        body, errors = self._body(), b"".join(self.errors)
        done = Done(
            shard=shard.index,
            start=start,
            end=start + self.rows,
            final=final,
            scored=self.scored,
            errors=self.rows - self.scored,
            labels=dict(sorted(self.labels.items())),
            bytes=len(body),
            error_bytes=len(errors),
            digest=_digest(body, errors),
            **asdict(effort),
        )
        place.create(piece_name(self.plan, done), body)
        place.create(errors_name(self.plan, done), errors)
        mark = f"{self.plan.job.folder}done/{shard.index:06d}-{start:06d}.json"
        place.create(mark, json.dumps(asdict(done)).encode())

    def _body(self) -> bytes:
        found = self.plan.format
        if found.kind == "parquet":
            from slipway.batch import parquet

            return parquet.written(self.batches)
        head = b"" if self.plan.joined else rendering.header(found, self.plan.added)
        return rendering.compress(head + b"".join(self.body), found.compression)


def pieces_of(plan: Plan, shard: int, place: Place) -> list[Done]:
    """What is done of a shard, in order and without gaps."""
    names = place.names(f"{plan.job.folder}done/{shard:06d}-")
    return in_order(Done(**json.loads(kept[0])) for name in names if (kept := place.read(name)))


def in_order(pieces: Iterable[Done]) -> list[Done]:
    """The pieces of one shard from its first row on, as far as they follow one another."""
    found = {done.start: done for done in pieces}
    chain: list[Done] = []
    while step := found.get(chain[-1].end if chain else 0):
        chain.append(step)
    return chain


def piece_name(plan: Plan, done: Done) -> str:
    """Of the results: kept among the job's own parts, unless they stay in parts, which another job must not meet."""
    by = ("-asked" if done.asked else "") + (f"-{done.digest}" if done.digest else "")
    name = f"part-{_rows(done)}{by}{plan.format.extension}"
    return f"{plan.job.folder}pieces/{name}" if plan.joined else f"{plan.job.outbox}parts/{plan.job.id}/{name}"


def errors_name(plan: Plan, done: Done) -> str:
    """Of the rows that could not be scored. It ends in which rows are done, which ``state`` counts."""
    by = f"{done.digest}-" if done.digest else ""
    return f"{plan.job.folder}errors/{by}{_rows(done)}.jsonl"


def _rows(done: Done) -> str:
    return f"{done.shard:06d}-{done.start:06d}-{done.end:06d}"


def _digest(body: bytes, errors: bytes) -> str:
    return hashlib.sha256(b"%d %b%b" % (len(body), body, errors)).hexdigest()[:16]
