"""One shard: read, scored in windows, written in pieces, each marked as done when it is whole.

A window is always the same rows, so the same bytes come out however often the work was interrupted: where a piece ends
depends on the time there was, what is in it does not.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from slipway.answers import Answer, answer
from slipway.batch.boundaries import ends_in_quotes
from slipway.batch.job import Plan, Shard
from slipway.batch.pieces import Effort, Piece, Window, pieces_of
from slipway.batch.places import Place
from slipway.batch.rows import Row, rows_of
from slipway.batch.sources import Source
from slipway.errors import InvalidRequest, StoreError
from slipway.predictor import Predictor

WINDOW = 1_024  # rows that are sorted by length and scored together
_RESERVE = 5.0  # seconds to write a piece
_NEVER_CLOSED = "A quote is opened in this row and never closed."

TimeLeft = Callable[[], float]


def score(
    plan: Plan,
    shard: Shard,
    predictor: Predictor,
    source: Source,
    place: Place,
    *,
    time_left: TimeLeft = lambda: float("inf"),
    progress: Callable[[int], None] = lambda _: None,
    memory_mb: int = 0,
) -> bool:
    """Score what is left of a shard; False if ``time_left`` (seconds) came to an end first, and it must go on.

    ``progress`` is told the rows of each window that is scored. ``memory_mb`` is that of the function, where there is
    one.

    Raises StoreError or BatchError where the file or the place cannot be read or written.
    """
    done = pieces_of(plan, shard.index, place)
    if done and done[-1].final:
        return True
    start = done[-1].end if done else 0
    began, slowest, piece = time.perf_counter(), 0.0, Piece(plan)
    with _no_collections():
        for window in windows(plan, shard, source, place, start):
            window_began = time.perf_counter()
            piece.add(window, *_answers(window.rows, plan, predictor))
            slowest = max(slowest, time.perf_counter() - window_began)
            progress(len(window.rows))
            if time_left() < _RESERVE + 2 * slowest:
                break
    if not piece.rows:  # a mark of nothing would lead to itself
        raise StoreError(f"Shard {shard.index} of {plan.job.id} has no row {start + 1:,} of its {shard.rows:,}.")
    if plan.format.kind == "parquet" and not piece.batches:
        from slipway.batch import parquet

        piece.batches.append(parquet.none_scored(window.batch, plan.added))  # a file of no rows is one all the same
    final = start + piece.rows >= shard.rows
    seconds = round(time.perf_counter() - began, 3)
    effort = Effort(seconds=seconds, backend=f"cpu-{predictor.manifest.serve}", memory_mb=memory_mb)
    piece.write(shard, start, place, final=final, effort=effort)
    return pieces_of(plan, shard.index, place)[-1].final  # another attempt may have been first, with less


@contextmanager
def _no_collections() -> Iterator[None]:
    """Rows and answers make no cycles, and looking for some takes as long as a fifth of a small network."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def windows(plan: Plan, shard: Shard, source: Source, place: Place, skip: int = 0) -> Iterator[Window]:
    """The rows of a shard but for the first ``skip``, in windows. Raises StoreError or BatchError."""
    column = plan.job.request.text_column
    if plan.format.kind == "parquet":
        from slipway.batch import parquet

        at = shard.first_row + skip
        for batch in parquet.batches(plan.job.name, source, shard, WINDOW, skip):
            yield Window(list(parquet.rows_of(batch, column, first_row=at)), batch)
            at += len(batch)
        return
    window: list[Row] = []
    for row in _rows(plan, shard, source, place):
        if row.number >= shard.first_row + skip:
            window.append(row)
        if len(window) == WINDOW:
            yield Window(window)
            window = []
    if window:
        yield Window(window)


def _rows(plan: Plan, shard: Shard, source: Source, place: Place) -> Iterator[Row]:
    found, data = plan.format, _bytes_of(shard, source, place)
    for row in rows_of(data, found, plan.job.request.text_column, first_row=shard.first_row):
        # An open quote would take the rows that follow in the results; only irregular CSV has one.
        broken = found.kind == "csv" and not found.quotes and ends_in_quotes(row.raw, found.delimiter)
        yield _refused(row, _NEVER_CLOSED) if broken else row


def _bytes_of(shard: Shard, source: Source, place: Place) -> bytes:
    if not shard.cut:
        return source.read(shard.start, shard.end)
    kept = place.read(shard.cut)
    if kept is None:
        raise StoreError(
            f"{place.url(shard.cut)} is gone.", remedy="Parts of a job are kept for some days only: upload it again."
        )
    return kept[0]


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
    return (
        good,
        answer(predictions, predictor.manifest, parameters, ranked=bool(parameters.top_k)),
        sorted(broken, key=lambda row: row.number),
    )


def _too_long(row: Row, predictor: Predictor) -> str:
    try:
        predictor.encoder.encode([row.text or ""], truncation="error", source="row")
    except InvalidRequest as error:
        return str(error)
    return ""


def _refused(row: Row, reason: str) -> Row:
    return Row(row.number, row.raw, row.end, None, reason, row.content)
