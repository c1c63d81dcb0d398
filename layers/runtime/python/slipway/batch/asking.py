"""A shard to a question for the asynchronous endpoint, and the answer to the piece that ``scoring`` would have written.

A line of the question holds the good texts of a window, in the dialect V1; the same line of the answer their
predictions. Rows are read and checked again when the answer is there, by the same code: the question carries no rows.
"""

import json
from collections.abc import Iterator
from typing import Any

from slipway.answers import Answer
from slipway.batch.job import JOBS, Plan, Shard
from slipway.batch.pieces import Effort, Piece, pieces_of
from slipway.batch.places import Place
from slipway.batch.scoring import windows
from slipway.batch.sources import Source
from slipway.dialects import v1
from slipway.errors import StoreError

MAX_BYTES = 100_000_000  # of a question: half of what the endpoint takes, since parsed it must fit into a function too


class Unanswered(Exception):
    """The endpoint has no answer for a shard, which functions score then. ``kind`` is one word for logs.

    ``lasting`` says that it would have none for the job's other shards either.
    """

    def __init__(self, kind: str, *, lasting: bool = False) -> None:
        super().__init__(kind)
        self.kind = kind
        self.lasting = lasting


def question(plan: Plan, shard: Shard, source: Source, place: Place) -> bytes:
    """JSON Lines for the endpoint. Raises Unanswered where functions are to score the shard.

    Raises StoreError or BatchError where the file or the place cannot be read.
    """
    if pieces_of(plan, shard.index, place):
        raise Unanswered("begun")
    asked = plan.job.request.parameters
    if asked.truncation == "error":  # the endpoint would refuse the shard for one row that is too long
        raise Unanswered("policy", lasting=True)
    parameters = {
        "truncate": asked.truncation,
        "top_k": asked.top_k or 1,  # without it there is no column for the other scores
        "raw_scores": asked.raw_scores,
        "abstain_below": asked.abstain_below,
    }
    lines, size = [], 0
    for window in windows(plan, shard, source, place):
        if texts := [row.text for row in window.rows if row.text is not None]:
            lines.append(json.dumps({"instances": texts, "parameters": parameters}, ensure_ascii=False).encode())
            size += len(lines[-1]) + 1
        if size > MAX_BYTES:
            raise Unanswered("size")
    if not lines:
        raise Unanswered("empty")
    return b"\n".join(lines) + b"\n"


def collect(
    plan: Plan, shard: Shard, answer: bytes, source: Source, place: Place, *, seconds: float, memory_mb: int
) -> bool:
    """Write the piece that ``answer`` makes of a shard of which nothing is written yet; else change nothing.

    Returns whether the shard is done, as ``score`` does. Raises Unanswered if it is not the whole answer of the job's
    own version, and StoreError or BatchError as ``question`` does.
    """
    if done := pieces_of(plan, shard.index, place):
        return done[-1].final
    read = _Answers(answer, plan.job.model_version)
    piece = Piece(plan)
    for window in windows(plan, shard, source, place):
        good = [row for row in window.rows if row.text is not None]
        found = read.next(len(good)) if good else []
        piece.add(window, good, found, [row for row in window.rows if row.text is None])
    read.end()
    if piece.rows != shard.rows:
        raise StoreError(f"Shard {shard.index} of {plan.job.id} has {piece.rows:,} of its {shard.rows:,} rows.")
    effort = Effort(seconds=round(seconds, 3), backend=read.backend, memory_mb=memory_mb, asked=True)
    piece.write(shard, 0, place, final=True, effort=effort)
    return pieces_of(plan, shard.index, place)[-1].final  # functions may have been first, with less


def give_up(plan: Plan, place: Place, kind: str) -> None:
    """Ask for no more shards of this job: each would wait as long as the one that has waited in vain."""
    place.create(_given_up(plan), json.dumps({"kind": kind}).encode())


def is_given_up(plan: Plan, place: Place) -> bool:
    """Whether ``give_up`` was called for the job."""
    return place.read(_given_up(plan)) is not None


def folder_of(model: str) -> str:
    """What the asynchronous endpoint of ``model`` reads and writes: ``in/``, ``out/`` and ``failed/`` under it."""
    return f"async/{model}/"


def question_name(plan: Plan, shard: int) -> str:
    """Of the object that holds a shard's question."""
    return f"{folder_of(plan.job.model)}in/{plan.job.id}/{shard:06d}.jsonl"


def ticket_name(model: str, key: str) -> str:
    """Of what says whose answer ``key`` is, in a folder beside the jobs' own: SageMaker chooses the answers' names."""
    return f"{JOBS}{model}/asked/{key.removeprefix(folder_of(model))}.json"


class _Answers:
    """The lines of an answer, one by one, each checked. What does not fit raises Unanswered."""

    def __init__(self, raw: bytes, version: str) -> None:
        self._lines: Iterator[bytes] = iter(raw.splitlines())
        self._version = version
        self.backend = ""

    def next(self, count: int) -> list[Answer]:
        """The answers to a line of ``count`` texts."""
        try:
            document: Any = json.loads(next(self._lines, b""))
            version, self.backend = str(document["model_version"]), _named(str(document["backend"]))
            answers = [v1.read(each) for each in document["predictions"]]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise Unanswered("answer") from error
        if version != self._version:  # a promotion rolls the endpoint, and a job keeps the version it began with
            raise Unanswered("version", lasting=True)
        if len(answers) != count:
            raise Unanswered("answer")
        return answers

    def end(self) -> None:
        """There must be nothing more."""
        if next(self._lines, None) is not None:
            raise Unanswered("answer")


def _named(backend: str) -> str:
    """An endpoint without a GPU stands for one, in tests: the manifest says where answers came from all the same."""
    return backend if backend.startswith("gpu-") else f"endpoint-{backend}"


def _given_up(plan: Plan) -> str:
    return f"{plan.job.folder}given-up.json"
