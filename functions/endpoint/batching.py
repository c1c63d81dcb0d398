"""The queue: texts of many requests wait in it, are computed together with others of their length, and are answered.

What is queued is a text, not a request: a request of 64 texts is spread over batches and answered when all of its texts
are. Batches are cut from one round after the other: those that wait longest, sorted by length. The one that waits
longest is always in the next batch, and who comes later waits for the next round: so an unusual length is overtaken by
few. While as many batches are in flight as may be, the next one fills by itself: so nobody waits for others.

A text is in one of three places: in the queue, in one batch, or gone. It comes into a batch with its request and its
place in it, and its result goes to that place and nowhere else: no request is answered twice, or with another's answer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Generic, Protocol, TypeVar

from functions.endpoint.errors import QueueFull
from slipway.errors import RequestTooLarge
from slipway.network import pack

WINDOW = 1_024  # texts that are sorted together: 1.04 times the real tokens are computed, 2.3 times in order of arrival
# A round has two batches' tokens, or a quarter of the texts where that is more: what sorting saves in a longer one, the
# slowest hundredth pays for by waiting up to twice as long (docs/model-log.md).
_ROUND_BATCHES = 2
_ROUND_SHARE = 4


class Costly(Protocol):
    """A text as the queue sees it."""

    @property
    def cost(self) -> int:
        """Tokens that are computed for it."""


Item = TypeVar("Item", bound=Costly)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """``batch_tokens`` counts padding; ``run_tokens`` is what a batch costs beside its tokens, in tokens.

    A batch that is not full waits ``wait`` seconds for more texts.
    """

    batch_tokens: int
    run_tokens: int
    in_flight: int
    queue_tokens: int
    wait: float = 0.0


class _Request(Generic[Result]):
    """``left`` counts the texts without a result; ``tickets`` are those of its texts in the queue."""

    def __init__(self, count: int) -> None:
        self.answered: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        self.tickets: set[int] = set()
        self._results: dict[int, Result] = {}
        self._count = count

    def put(self, place: int, result: Result) -> None:
        self._results[place] = result
        if len(self._results) == self._count and not self.answered.done():
            self.answered.set_result([self._results[index] for index in range(self._count)])

    def fail(self, error: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(error)
            self.answered.exception()  # seen: whoever waited may have been cancelled at this very moment


@dataclass(frozen=True, slots=True)
class _Text(Generic[Item, Result]):
    item: Item
    request: _Request[Result]
    place: int
    since: float


class Batcher(Generic[Item, Result]):
    """Texts in, results out, by way of ``run``, which computes one batch. Belongs to one event loop.

    ``waited`` is told how long the oldest text of each batch was in the queue, in seconds.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        bounds: Bounds,
        *,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.waiting_tokens = 0
        self.running = 0
        self._run = run
        self._bounds = bounds
        self._waited = waited
        self._queue: OrderedDict[int, _Text[Item, Result]] = OrderedDict()  # by ticket, the oldest first
        self._next_ticket = 0
        self._round_end = 0  # the first ticket after the round
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None
        self._batches: set[asyncio.Task[None]] = set()  # asyncio itself keeps no task alive

    @property
    def waiting(self) -> int:
        """Texts in the queue."""
        return len(self._queue)

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """The results of ``items``, in their order. Cancelled, as by a deadline, its texts leave the queue.

        Raises RequestTooLarge, QueueFull, or what ``run`` raised for a batch that had one of its texts.
        """
        if not items:
            return []
        request = self._admit(items)
        try:
            return await request.answered
        finally:
            self._withdraw(request)

    def _admit(self, items: Sequence[Item]) -> _Request[Result]:
        cost, bound = sum(item.cost for item in items), self._bounds.queue_tokens
        if cost > bound:
            raise RequestTooLarge(
                f"The texts have {cost:,} tokens; {bound:,} fit into the queue.", remedy="Send fewer."
            )
        if self.waiting_tokens + cost > bound:
            raise QueueFull(f"{self.waiting_tokens:,} of {bound:,} tokens wait already.", remedy="Try again later.")
        request: _Request[Result] = _Request(len(items))
        now = asyncio.get_running_loop().time()
        for place, item in enumerate(items):
            self._queue[self._next_ticket] = _Text(item, request, place, now)
            request.tickets.add(self._next_ticket)
            self._next_ticket += 1
        self.waiting_tokens += cost
        self._wake_up()
        return request

    def _withdraw(self, request: _Request[Result]) -> None:
        for ticket in tuple(request.tickets):
            self._take(ticket)

    def _take(self, ticket: int) -> _Text[Item, Result]:
        """Out of the queue."""
        text = self._queue.pop(ticket)
        text.request.tickets.remove(ticket)
        self.waiting_tokens -= text.item.cost
        return text

    def _wake_up(self) -> None:
        """Look at the queue after whatever else arrives in this turn of the loop."""
        if not self._woken:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._fill)

    def _fill(self) -> None:
        self._woken = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._queue and self.running < self._bounds.in_flight:
            if (delay := self._patience()) > 0:
                self._timer = loop.call_later(delay, self._fill)
                return
            self.running += 1
            task = loop.create_task(self._answer(self._cut()))
            self._batches.add(task)
            task.add_done_callback(self._batches.discard)

    def _patience(self) -> float:
        """Seconds that a batch which is not full may still wait for more."""
        if not self._bounds.wait or self.waiting_tokens >= self._bounds.batch_tokens:
            return 0.0
        oldest = next(iter(self._queue.values()))
        return oldest.since + self._bounds.wait - asyncio.get_running_loop().time()

    def _cut(self) -> list[_Text[Item, Result]]:
        """The oldest text, and those in its round that are computed best together with it."""
        tickets = self._round()
        costs = [self._queue[ticket].item.cost for ticket in tickets]
        packs = pack(costs, self._bounds.batch_tokens, self._bounds.run_tokens)
        batch = [self._take(tickets[index]) for index in next(chosen for chosen in packs if 0 in chosen)]
        self._waited(asyncio.get_running_loop().time() - min(text.since for text in batch))
        return batch

    def _round(self) -> list[int]:
        """Tickets of the round that are left; of the next one after the last of them."""
        if next(iter(self._queue)) >= self._round_end:
            self._round_end = self._begin_round()
        return [*takewhile(lambda ticket: ticket < self._round_end, self._queue)]

    def _begin_round(self) -> int:
        """The first ticket after it."""
        share, tokens, last = len(self._queue) // _ROUND_SHARE, 0, 0
        for count, (ticket, text) in enumerate(islice(self._queue.items(), WINDOW)):
            if count >= share and tokens >= _ROUND_BATCHES * self._bounds.batch_tokens:
                break
            tokens += text.item.cost
            last = ticket
        return last + 1

    async def _answer(self, batch: Sequence[_Text[Item, Result]]) -> None:
        try:
            results = await self._run([text.item for text in batch])
            pairs = [*zip(batch, results, strict=True)]  # all of them or none: a result too few belongs to nobody
        except Exception as error:  # whatever it is, those who wait for this batch must hear of it
            for text in batch:
                text.request.fail(error)
                self._withdraw(text.request)
        else:
            for text, result in pairs:
                text.request.put(text.place, result)
        finally:
            self.running -= 1
            self._fill()
