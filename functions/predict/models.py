"""Several models in one function: each is loaded when it is first asked for, and goes when memory is needed."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from aws_lambda_powertools import Logger

from functions.predict.live import LiveModel
from functions.predict.scratch import Scratch
from slipway.errors import UnknownResource
from slipway.settings import Settings, function_memory_mb
from slipway.store import Store


class Models:
    """The models of one deployment by name; ``default`` is the one that never goes. Safe to call from several threads.

    What all of them hold stays under ``settings.model_memory_mb``, or half of the function's memory where that is 0:
    the least recently used goes whole. The one that was used last stays, however large it is.
    """

    def __init__(
        self,
        settings: Settings,
        open_store: Callable[[str], Store],
        scratch: Scratch,
        logger: Logger,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._open_store = open_store
        self._scratch = scratch
        self._logger = logger
        self._clock = clock
        self.budget = (settings.model_memory_mb or function_memory_mb() // 2) << 20  # bytes
        self._names = settings.model_names()
        self._made: dict[str, LiveModel] = {}  # the most recently used one last
        self._last: tuple[str, LiveModel] | None = None
        self._lock = threading.Lock()
        self.default = self.get(settings.model)

    def names(self) -> list[str]:
        """The default model first."""
        return self._names

    def get(self, name: str) -> LiveModel:
        """The model of that name, which from now on is the one that was used last. It loads when it is first asked.

        Raises UnknownResource if this deployment does not serve it.
        """
        last = self._last
        if last and last[0] == name:
            return last[1]
        if name not in self._names:
            raise self._unknown(name)
        with self._lock:
            model = self._made.pop(name, None) or self._make(name)
            self._made[name] = model
            self._last = name, model
        self._keep_budget()  # the one that was used last stays whatever its size, so another one may have to go now
        return model

    def expire(self) -> None:
        """Make the next request of each model ask its store first, as after a SnapStart restore."""
        with self._lock:
            made = [*self._made.values()]
        for model in made:
            model.expire()

    def _make(self, name: str) -> LiveModel:
        return LiveModel(
            replace(self._settings, model=name),
            store=self._open_store(name),
            scratch=self._scratch,
            logger=self._logger,
            clock=self._clock,
            grown=self._keep_budget,
        )

    def _keep_budget(self) -> None:
        while free := self._relief():
            free()

    def _relief(self) -> Callable[[], None] | None:
        """What to let go next: idle models, the least recently used first, then what is addressed by name in the
        default one. None if the rest fits, or nothing more may go.
        """
        with self._lock:
            sizes = {name: model.bytes() for name, model in self._made.items()}
            if sum(sizes.values()) <= self.budget:
                return None
            *idle, _ = self._made
            for name in idle:
                if name != self._settings.model and sizes[name]:
                    self._logger.info("model unloaded", model=name, bytes=sizes[name])
                    return self._made[name].unload
            default = self._made[self._settings.model]
            return default.unload_others if self._settings.model in idle and default.has_others() else None

    def _unknown(self, name: str) -> UnknownResource:
        known = " and ".join(repr(known) for known in self.names())
        remedy = f"It is called {known}." if len(self.names()) == 1 else f"There are {known}."
        return UnknownResource(f"There is no model {name[:64]!r} here.", field="model", remedy=remedy)
