"""From a question to its answer, which come at different times to different functions: a ticket says what for."""

import time
from dataclasses import asdict, dataclass
from json import dumps, loads
from typing import Any

from aws_lambda_powertools import Logger

from functions.batch.places import bucket, plan_in, settings, source_of
from slipway.batch.asking import Unanswered, collect, folder_of, give_up, ticket_name
from slipway.batch.job import Plan, Shard
from slipway.settings import function_memory_mb
from slipway.workflows import end_task

logger = Logger()


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """Whose answer it will be, and the ``token`` of the step that waits for it; ``seconds`` went into the question."""

    folder: str
    shard: dict[str, Any]
    token: str
    seconds: float = 0.0

    def keep(self, key: str) -> None:
        """For whoever finds the object ``key``."""
        bucket.write(ticket_name(settings.model, key), [dumps(asdict(self)).encode()])

    @classmethod
    def of(cls, key: str) -> "Ticket | None":
        """None if nobody waits for it: a person may ask the endpoint too."""
        kept = bucket.read(ticket_name(settings.model, key))
        return cls(**loads(kept[0])) if kept else None

    def settle(self, key: str) -> str:
        """Make results of the answer ``key``, and let the step go on; one word for what became of it.

        What comes twice, or when functions have begun to score the shard, changes nothing.
        """
        began, plan, shard = time.perf_counter(), plan_in(self.folder), Shard(**self.shard)
        try:
            answer = _read(key)
            seconds = self.seconds + time.perf_counter() - began
            memory_mb = function_memory_mb()
            source = source_of(plan.job)
            final = collect(plan, shard, answer, source, bucket, seconds=seconds, memory_mb=memory_mb)
        except Unanswered as reason:
            return self.refuse(plan, reason)
        return self._go_on("scored" if final else "begun", final=final)

    def refuse(self, plan: Plan, reason: Unanswered) -> str:
        """Functions are to score it."""
        if reason.lasting:
            give_up(plan, bucket, reason.kind)
        return self._go_on(reason.kind, final=False)

    def done(self) -> str:
        """Nothing is left to do, as after a redrive."""
        return self._go_on("done", final=True)

    def _go_on(self, outcome: str, *, final: bool) -> str:
        waited = end_task(self.token, {"folder": self.folder, "shard": self.shard, "final": final})
        logger.info("answered", folder=self.folder, shard=self.shard["index"], outcome=outcome, waited=waited)
        return outcome


def _read(key: str) -> bytes:
    """Raises Unanswered if it is no answer."""
    kept = None if key.startswith(f"{folder_of(settings.model)}failed/") else bucket.read(key)
    if kept is None:
        raise Unanswered("failed")
    return kept[0]
