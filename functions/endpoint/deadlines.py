"""Until when each request is answered, one way or another."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from functions.endpoint.errors import DeadlinePassed

Result = TypeVar("Result")


class Deadlines:
    """Of all requests under way. A process that ends brings them forward: what it accepted, it answers."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()
        self._last = float("inf")  # on the event loop's clock

    async def within(self, seconds: float, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of ``work``, which is cancelled after ``seconds``. Raises DeadlinePassed then."""
        try:
            async with asyncio.timeout_at(min(asyncio.get_running_loop().time() + seconds, self._last)) as limit:
                self._open.add(limit)
                try:
                    return await work
                finally:
                    self._open.remove(limit)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlinePassed("The request was not answered in its time.", remedy="Try again later.") from error

    def bring_forward(self, seconds: float) -> None:
        """From now on nothing takes longer than that."""
        self._last = asyncio.get_running_loop().time() + seconds
        for limit in self._open:
            limit.reschedule(min(limit.when() or self._last, self._last))
