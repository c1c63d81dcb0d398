"""Seconds by part, on the clock and of the processor; a part does not count what parts inside it took."""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """``parts`` has a pair of seconds, (clock, processor), by name."""

    def __init__(self) -> None:
        self.parts: dict[str, list[float]] = {}
        self._inside: list[list[float]] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What happens in this block."""
        self._inside.append([0.0, 0.0])
        before = self._now()
        try:
            yield
        finally:
            took = [after - start for after, start in zip(self._now(), before, strict=True)]
            inside = self._inside.pop()
            self.add(name, *(whole - part for whole, part in zip(took, inside, strict=True)))
            if self._inside:
                self._inside[-1] = [sum(pair) for pair in zip(self._inside[-1], took, strict=True)]

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
        return time.perf_counter(), time.process_time()
