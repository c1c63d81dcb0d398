"""Something made on a thread of its own, for as long as a block takes: parts of a cold start that can overlap."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

_Made = TypeVar("_Made")


@contextmanager
def beside(make: Callable[[], _Made], niceness: int = 0) -> Iterator[Callable[[], _Made]]:
    """Make something on a thread of its own during the block; what it gives waits for it and returns it.

    An error of it is raised at the end of the block, instead of the block's own: it is why that failed. At a
    ``niceness`` above 0 it leaves processors to whoever else wants them.
    """
    made: list[_Made] = []
    raised: list[BaseException] = []

    def run() -> None:
        if niceness:
            with suppress(OSError):  # where a sandbox forbids it, or threads have none of their own
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        try:
            made.append(make())
        except BaseException as error:  # whatever ends it must not pass for its end
            raised.append(error)

    def result() -> _Made:
        thread.join()
        return made[0]

    thread = threading.Thread(target=run, name="load")
    thread.start()
    try:
        yield result
    finally:
        thread.join()
        if raised:
            raise raised[0]
