"""One shard: read, scored in windows, written in pieces, each marked as done when it is whole.

A window is always the same rows, so the same bytes come out however often the work was interrupted: where a piece ends
depends on the time there was, what is in it does not.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from slipway.answers import Answer, answer
from slipway.batch import rendering
from slipway.batch.job import Plan, Shard
from slipway.batch.places import Place
from slipway.batch.rows import Row, rows_of
from slipway.batch.sources import Source
from slipway.errors import InvalidRequest, StoreError
from slipway.predictor import Predictor

WINDOW = 1_024  # rows that are sorted by length and scored together
_RESERVE = 5.0  # seconds to write a piece

TimeLeft = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Done:
    """A piece: rows of a shard, counted from its first, that are scored and written. A ``final`` one ends the shard."""

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

    @property
    def rows(self) -> int:
        """Scored and refused."""
        return self.end - self.start


@dataclass
class _Piece:
    """What is scored and not yet written."""

    body: list[bytes] = field(default_factory=list)
    batches: list[Any] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    scored: int = 0


@dataclass(frozen=True)
class _Window:
    """Rows and, for those that have a text, the bytes or the batch that they become."""

    rows: list[Row]
    batch: Any = None


def score(
    plan: Plan,
    shard: Shard,
    predictor: Predictor,
    source: Source,
    place: Place,
    *,
    time_left: TimeLeft = lambda: float("inf"),
    progress: Callable[[int], None] = lambda _: None,
) -> bool:
    """Score what is left of a shard; False if ``time_left`` (seconds) came to an end first, and it must go on.

    ``progress`` is told the rows of each window that is scored.

    Raises StoreError or BatchError where the file or the place cannot be read or written.
    """
    done = pieces_of(plan, shard.index, place)
    if done and done[-1].final:
        return True
    start = done[-1].end if done else 0
    began, slowest, piece = time.perf_counter(), 0.0, _Piece()
    for window in _windows(plan, shard, source, place, start):
        window_began = time.perf_counter()
        _score(window, piece, plan, predictor)
        slowest = max(slowest, time.perf_counter() - window_began)
        progress(len(window.rows))
        if time_left() < _RESERVE + 2 * slowest:
            break
    if not piece.rows:  # a mark of nothing would lead to itself
        raise StoreError(f"Shard {shard.index} of {plan.job.id} has no row {start + 1:,} of its {shard.rows:,}.")
    final = start + piece.rows >= shard.rows
    _write(plan, shard, start, piece, place, final=final, seconds=time.perf_counter() - began)
    return pieces_of(plan, shard.index, place)[-1].final  # another attempt may have been first, with less


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
    name = f"part-{done.shard:06d}-{done.start:06d}-{done.end:06d}{plan.format.extension}"
    return f"{plan.job.folder}pieces/{name}" if plan.joined else f"{plan.job.outbox}parts/{plan.job.id}/{name}"


def errors_name(plan: Plan, done: Done) -> str:
    """Of the rows that could not be scored."""
    return f"{plan.job.folder}errors/{done.shard:06d}-{done.start:06d}-{done.end:06d}.jsonl"


def _windows(plan: Plan, shard: Shard, source: Source, place: Place, skip: int) -> Iterator[_Window]:
    column = plan.job.request.text_column
    if plan.format.kind == "parquet":
        from slipway.batch import parquet

        at = shard.first_row + skip
        for batch in parquet.batches(plan.job.name, source, shard, WINDOW, skip):
            yield _Window(list(parquet.rows_of(batch, column, first_row=at)), batch)
            at += len(batch)
        return
    rows = rows_of(_bytes_of(shard, source, place), plan.format, column, first_row=shard.first_row)
    window: list[Row] = []
    for row in rows:
        if row.number >= shard.first_row + skip:
            window.append(row)
        if len(window) == WINDOW:
            yield _Window(window)
            window = []
    if window:
        yield _Window(window)


def _bytes_of(shard: Shard, source: Source, place: Place) -> bytes:
    if not shard.cut:
        return source.read(shard.start, shard.end)
    kept = place.read(shard.cut)
    if kept is None:
        raise StoreError(
            f"{place.url(shard.cut)} is gone.", remedy="Parts of a job are kept for some days only: upload it again."
        )
    return kept[0]


def _score(window: _Window, piece: _Piece, plan: Plan, predictor: Predictor) -> None:
    good, answers, broken = _answers(window.rows, plan, predictor)
    version = predictor.manifest.version
    added = [rendering.values(each, version, plan.added) for each in answers]
    if window.batch is not None and good:
        from slipway.batch import parquet

        piece.batches.append(parquet.scored(window.batch, [row.content for row in good], added))
    elif window.batch is None:
        piece.body += [rendering.render(row, more, plan.format) for row, more in zip(good, added, strict=True)]
    piece.errors += map(rendering.render_error, broken)
    piece.labels.update(each.label or "" for each in answers)
    piece.rows += len(window.rows)
    piece.scored += len(good)


def _answers(rows: Sequence[Row], plan: Plan, predictor: Predictor) -> tuple[list[Row], list[Answer], list[Row]]:
    """Rows with an answer, the answers, and rows without. Under the policy ``error`` a long text costs only itself."""
    parameters = plan.job.request.parameters
    good = [row for row in rows if row.text is not None]
    broken = [row for row in rows if row.text is None]
    texts = [row.text or "" for row in good]
    if parameters.truncation == "error":
        fits = {row.number: _too_long(row, predictor) for row in good}
        broken += [_refused(row, reason) for row in good if (reason := fits[row.number])]
        good = [row for row in good if not fits[row.number]]
        texts = [row.text or "" for row in good]
    predictions = predictor.predict(texts, truncation=parameters.truncation)
    return good, answer(predictions, predictor.manifest, parameters), sorted(broken, key=lambda row: row.number)


def _too_long(row: Row, predictor: Predictor) -> str:
    try:
        predictor.encoder.encode([row.text or ""], truncation="error", source="row")
    except InvalidRequest as error:
        return str(error)
    return ""


def _refused(row: Row, reason: str) -> Row:
    return Row(row.number, row.raw, row.end, None, reason, row.content)


def _write(plan: Plan, shard: Shard, start: int, piece: _Piece, place: Place, *, final: bool, seconds: float) -> None:
    """Results and errors first, then the mark: what is marked is whole. Whoever comes second changes nothing."""
    body = _body(piece, plan)
    errors = b"".join(piece.errors)
    done = Done(
        shard=shard.index,
        start=start,
        end=start + piece.rows,
        final=final,
        scored=piece.scored,
        errors=piece.rows - piece.scored,
        labels=dict(sorted(piece.labels.items())),
        seconds=round(seconds, 3),
        bytes=len(body),
        error_bytes=len(errors),
    )
    place.create(piece_name(plan, done), body)
    place.create(errors_name(plan, done), errors)
    place.create(f"{plan.job.folder}done/{shard.index:06d}-{start:06d}.json", json.dumps(asdict(done)).encode())


def _body(piece: _Piece, plan: Plan) -> bytes:
    if plan.format.kind == "parquet":
        from slipway.batch import parquet

        return parquet.written(piece.batches)
    head = b"" if plan.joined else rendering.header(plan.format, plan.added)
    return rendering.compress(head + b"".join(piece.body), plan.format.compression)
