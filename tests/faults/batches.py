"""A file that is scored while S3 is broken, or while events and steps come twice, late or in another order."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest import mock

from slipway.errors import ModelUnavailable
from tests.faults.outcomes import Outcome, arranged, require_hits
from tests.faults.proxy import Fault
from tests.faults.stage import DATA, MODEL, Stage

_ROWS = 30
_ATTEMPTS = 7  # the first, and the six of infra/batch.py
_RECEIVES = 240  # of a message, by infra/batch_queue.py: a day
KEY = f"inbox/{MODEL}/films.csv"
Step = Callable[[Any], Any]
Function = Callable[[str], Step]
Run = Callable[[Stage], Outcome]


class GivenUp(Exception):
    """A step failed as often as the workflow tries it."""


def content(mark: str = "film", rows: int = _ROWS) -> bytes:
    """A CSV of distinct rows, one of which has no text."""
    return b"id,text\n" + b"".join(f"{n},good {mark} {n}\n".encode() if n != 7 else b"7,\n" for n in range(rows))


def scored(*faults: Fault, twice: bool = False) -> Run:
    """The workflow as Step Functions runs it, while it lasts. If it gives up, it is redriven afterwards.

    ``twice`` runs every step a second time, as after an answer that was lost.
    """

    def run(stage: Stage) -> Outcome:
        with stage.workflow() as function, mock.patch("slipway.batch.cutting.SHARD_ROWS", 10):
            event = stage.upload(KEY, content())
            told: list[str] = []
            now = arranged(faults, stage)
            with stage.proxy.broken(*now):
                sees = _run(stage, function, event, told, twice=twice)
                require_hits(now)
            if sees == "failed":
                sees = f"manifest: failed, {_manifest(stage)['reason'][:60].strip()}…"
                _run(stage, function, event, told, twice=False)
            return _outcome(stage, f"{sees}; {len(told)} retries of steps", content())

    return run


def same_event(times: int) -> Run:
    """The same event, over and over."""

    def run(stage: Stage) -> Outcome:
        with stage.workflow() as function, mock.patch("slipway.batch.cutting.SHARD_ROWS", 10):
            event = stage.upload(KEY, content())
            for _ in range(times):
                _bring(function("start"), event, [])
            _drive(function, *stage.executions.values(), told=[], twice=False)
            found = _outcome(stage, f"{len(stage.executions)} execution for {times} events", content())
            return Outcome(found.sees, found.lost + len(stage.executions) - 1, found.after)

    return run


def late_event(stage: Stage) -> Outcome:
    """The event of an upload that was replaced since comes after the newer one's."""
    with stage.workflow() as function, mock.patch("slipway.batch.cutting.SHARD_ROWS", 10):
        older = stage.upload(KEY, content("older"))
        newer = stage.upload(KEY, content("newer"))
        states = [function("start")(event)["state"] for event in (newer, older)]
        _drive(function, *stage.executions.values(), told=[], twice=False)
        return _outcome(stage, f"{states[0]}, then {states[1]}", content("newer"))


def _run(stage: Stage, function: Function, event: Any, told: list[str], *, twice: bool) -> str:
    """What the file's owner finds."""
    try:
        _bring(function("start"), event, told)
        (execution,) = stage.executions.values()
        _drive(function, execution, told=told, twice=twice)
    except GivenUp as error:
        (execution,) = stage.executions.values()
        stage.proxy.faults = []
        detail = {"status": "FAILED", "input": json.dumps(execution), "cause": str(error), "error": "StoreError"}
        _bring(function("failed"), {"detail": detail}, told)
        return "failed"
    return "results"


def _drive(function: Function, *executions: Any, told: list[str], twice: bool) -> None:
    """Step Functions: plan, score each shard until it is final, finish; each step is tried again, or done twice."""
    for execution in executions:
        planned = _again(function("plan"), execution, told, twice=twice)
        for line in _shards(function, planned, told):
            final = False
            while not final:
                step = {"folder": planned["folder"], "shard": json.loads(line)}
                final = _again(function("score"), step, told, twice=twice)["final"]
        _again(function("finish"), {"folder": planned["folder"]}, told, twice=twice)


def _shards(function: Function, planned: Any, told: list[str]) -> list[bytes]:
    from functions.batch.places import bucket

    def read(name: Any) -> list[bytes]:
        kept = bucket.read(name)
        assert kept
        return kept[0].splitlines()

    lines: list[bytes] = _again(read, planned["shards"], told)  # the Map's own reading
    return lines


def _bring(step: Step, event: Any, told: list[str]) -> None:
    """An event in a message of a queue, which comes until it is done."""
    message = {"messageId": "m", "body": json.dumps(event)}

    def take(messages: Any) -> None:
        if again := step(messages)["batchItemFailures"]:
            raise ModelUnavailable(f"{again} must come again.")

    _again(take, {"Records": [message]}, told, attempts=_RECEIVES)


def _again(step: Step, event: Any, told: list[str], *, twice: bool = False, attempts: int = _ATTEMPTS) -> Any:
    for _ in range(attempts):
        try:
            answer = step(event)
            return step(event) if twice else answer
        except Exception as error:  # Step Functions retries whatever it is
            told.append(f"{type(error).__name__}: {error}")
    raise GivenUp(told[-1])


def _outcome(stage: Stage, sees: str, file: bytes) -> Outcome:
    """Every row of the file is once in the results, in order, or once in the errors."""
    folder = f"outbox/{MODEL}/films.csv/"
    results = list(csv.DictReader(io.StringIO(_read(stage, f"{folder}films.scored.csv").decode())))
    errors = [json.loads(line) for line in _read(stage, f"{folder}errors.jsonl").splitlines()]
    sent = list(csv.DictReader(io.StringIO(file.decode())))
    wanted = Counter(row["text"] for row in sent if row["text"])
    found = Counter(row["text"] for row in results)
    lost = sum((wanted - found).values()) + sum((found - wanted).values()) + abs(len(errors) - 1)
    ordered = [int(row["id"]) for row in results] == sorted(int(row["id"]) for row in results)
    lost += not ordered
    lost += sum(row["label"] != "positive" for row in results)
    manifest = _manifest(stage)
    lost += manifest["state"] != "finished" or manifest["rows"] != len(sent)
    return Outcome(sees, lost, f"{len(results)} scored + {len(errors)} refused = {len(sent)} rows, once each")


def _manifest(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_read(stage, f"outbox/{MODEL}/films.csv/manifest.json"))
    return found


def _read(stage: Stage, key: str) -> bytes:
    content: bytes = stage.direct.get_object(Bucket=DATA, Key=key)["Body"].read()
    return content
