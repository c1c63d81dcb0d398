"""Seconds by part, on the clock and of the processor; a part does not count what parts inside it took.

Parts of several threads may overlap: the processor's seconds are those of the thread that a part runs in.
"""

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any


class Stopwatch:
    """``parts`` has a pair of seconds, (clock, processor), by name."""

    def __init__(self) -> None:
        self.parts: dict[str, list[float]] = {}
        self._inside: dict[int, list[list[float]]] = defaultdict(list)  # of each thread

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What happens in this block."""
        stack = self._inside[get_ident()]
        stack.append([0.0, 0.0])
        before = self._now()
        try:
            yield
        finally:
            took = [after - start for after, start in zip(self._now(), before, strict=True)]
            inside = stack.pop()
            self.add(name, *(whole - part for whole, part in zip(took, inside, strict=True)))
            if stack:
                stack[-1] = [sum(pair) for pair in zip(stack[-1], took, strict=True)]

    def add(self, name: str, wall: float, cpu: float) -> None:
        """Count seconds that were measured elsewhere."""
        before = self.parts.get(name, [0.0, 0.0])
        self.parts[name] = [before[0] + wall, before[1] + cpu]

    def wrap(self, owner: Any, attribute: str, name: str) -> None:
        """From now on every call of ``owner.attribute`` is a part."""
        original = owner.__dict__[attribute]
        function: Callable[..., Any] = original.__func__ if isinstance(original, classmethod) else original

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        setattr(owner, attribute, classmethod(timed) if isinstance(original, classmethod) else timed)

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.thread_time()
