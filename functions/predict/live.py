"""The model that answers: loaded once, followed through ``live.json``, swapped without a request waiting for it.

A warm function asks for the pointer every few seconds and loads a new version beside the old one, in a thread that the
requests of that time do not wait for. Lambda freezes that thread between requests, so a request that finds the last
answer of the store too old does wait: that bounds how late a promotion reaches a function with little traffic.

Candidates are loaded by the same thread after it has let go of the pointer: no request waits for a candidate, and a
promotion or a rollback is followed while one is still being loaded.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from functions.predict.loading import LABELS, Loader
from functions.predict.scratch import Scratch
from functions.predict.serving import Chosen, Serving, labels_of, size_of
from slipway.errors import ModelUnavailable, SlipwayError, UnknownResource
from slipway.releases import Live, choose_shadow, choose_version, release_stack
from slipway.settings import Settings
from slipway.store import Store

if TYPE_CHECKING:
    from slipway.predictor import Predictor

_KEPT_BESIDE_LIVE = 2  # versions that callers address by name; the least recently used one goes
# Seconds. API Gateway gives up after 29; a start that takes longer than Lambda's 10 is begun again by its first
# request, which then waits for both.
_LONGEST_WAIT = 20.0  # of a request for a refresh
START_WAIT = 8.0  # of a start
_POINTER_WAIT = 3.0  # of a request that a model in memory can answer, for the store's first word


class _Refresh:
    """``heard`` is set once the store has said which version is live, ``done`` has what serves then."""

    def __init__(self) -> None:
        self.heard = threading.Event()
        self.done: Future[Serving | None] = Future()


class LiveModel:
    """The live version of one model, its candidates, and a few versions that are addressed by name.

    Safe to call from several threads. ``grown`` is called, from any of them, after memory may have grown.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store,
        scratch: Scratch,
        logger: Logger,
        clock: Callable[[], float] = time.monotonic,
        grown: Callable[[], None] = lambda: None,
    ) -> None:
        self.scratch = scratch
        self._settings = settings
        self._store = store
        self._logger = logger
        self._clock = clock
        self._grown = grown
        self._loader = Loader(store, scratch, logger, clock)
        self._serving: Serving | None = None
        self._others: dict[str, Predictor] = {}
        self._checked = float("-inf")
        self._refresh: _Refresh | None = None
        self._lock = threading.Lock()  # of the fields, never held over I/O
        self._loading = threading.Lock()  # of the candidates: one thread at a time

    @property
    def refused(self) -> Mapping[str, str]:
        """Versions that could not be served when they were last tried, with the reason."""
        return self._loader.refused

    def begin(self) -> None:
        """Begin to load what is live, beside whatever the caller does next."""
        self._start_refresh()

    def current(self, wait: float | None = None) -> "Predictor":
        """The live version's predictor, at most ``stale_seconds`` behind ``live.json`` while S3 answers.

        Raises ModelUnavailable if no version can be served, or none was loaded in ``wait`` seconds (by default 20).
        """
        return self._ask(wait).live

    def choose(self, request_id: str) -> Chosen:
        """What answers this request: the canary for its part of the ids, once it is loaded, else the live version.

        Raises ModelUnavailable if no version can be served.
        """
        serving = self._ask()
        version = choose_version(serving.pointer, request_id)
        canary = serving.candidates.get(version) if version != serving.pointer.version else None
        if canary:
            return Chosen(canary, "canary", serving.pointer, serving.live)
        return Chosen(serving.live, "live", serving.pointer, serving.live)

    def shadow(self, request_id: str) -> "Predictor | None":
        """The candidate that is to score this request after it was answered; None if it is not in the sample.

        Never waits, and is None as well until the candidate is loaded.
        """
        serving = self._serving
        version = choose_shadow(serving.pointer, request_id) if serving else None
        candidate = serving.candidates.get(version) if serving and version else None
        return candidate if serving and candidate is not serving.live else None

    def version(self, version: str) -> "Predictor":
        """The predictor of any published version, or of a label: ``live``, ``canary``, ``shadow``.

        Raises UnknownResource if there is no such version or nothing has the label, ModelUnavailable if it is refused
        or cannot be fetched; a candidate that is still being loaded is unavailable under its label.
        """
        serving = self._ask()
        if version in LABELS:
            return self._labelled(version, serving)
        if predictor := serving.predictors().get(version):
            return predictor
        with self._lock:
            predictor = self._others.pop(version, None)
        predictor = predictor or self._loader.named(version, serving=serving.live.manifest.version)
        self._keep(version, predictor)
        self._grown()
        return predictor

    def loaded(self) -> list[str]:
        """Versions in memory: the live one first, then candidates, then those addressed by name, the last one first."""
        return [version for version, _ in self.states()]

    def states(self) -> list[tuple[str, tuple[str, ...]]]:
        """Versions in memory as ``loaded`` lists them, each with its labels."""
        serving = self._ask()
        with self._lock:
            others = [version for version in reversed(self._others) if version not in serving.predictors()]
        return [(version, serving.roles(version)) for version in [*serving.predictors(), *others]]

    def bytes(self) -> int:
        """Bytes of the files of every version in memory: about what weights and tokenizers take there."""
        with self._lock:
            held = {**self._others, **(self._serving.predictors() if self._serving else {})}
        return sum(size_of(predictor) for predictor in held.values())

    def expire(self) -> None:
        """Make the next request ask the store first: after a SnapStart restore the pointer may be hours old."""
        self._checked = float("-inf")

    def has_others(self) -> bool:
        """Whether versions are in memory that were only addressed by name."""
        return bool(self._others)

    def unload_others(self) -> None:
        """Free what was only addressed by name."""
        with self._lock:
            gone, self._others = [*self._others], {}
        self._remove_files(gone)

    def unload(self) -> None:
        """Free everything, in memory and in /tmp. The next request loads the model again."""
        with self._lock:
            serving, self._serving = self._serving, None
            self._checked = float("-inf")
        self._remove_files(serving.predictors() if serving else ())
        self.unload_others()

    # --- following the pointer

    def _ask(self, wait: float | None = None) -> Serving:
        """What serves now; for a request that waited for it, even if it was unloaded again at once.

        While S3 does not answer, a model in memory does: a new version is waited for once the pointer names it.
        """
        serving, age = self._serving, self._age()
        if serving is not None and age < self._settings.poll_seconds:
            return serving
        stale = age > self._settings.stale_seconds
        refresh = self._start_refresh()
        if refresh and (serving is None or (stale and refresh.heard.wait(_POINTER_WAIT))):
            with suppress(TimeoutError):
                serving = refresh.done.result(wait or _LONGEST_WAIT) or serving
        serving = self._serving or serving
        if serving is None:
            raise ModelUnavailable(
                f"No version of {self._settings.model!r} can be served: {self._reason()}.",
                remedy="Publish a version and promote it: `slipway publish`, `slipway promote`.",
            )
        return serving

    def _start_refresh(self) -> _Refresh | None:
        with self._lock:
            if self._refresh:
                return self._refresh
            if self._serving is not None and self._age() < self._settings.poll_seconds:
                return None
            self._refresh = refresh = _Refresh()
            threading.Thread(target=self._run_refresh, args=(refresh,), name="refresh", daemon=True).start()
            return refresh

    def _age(self) -> float:
        return self._clock() - self._checked

    def _run_refresh(self, refresh: _Refresh) -> None:
        self._resolve(refresh, self._follow(refresh.heard))
        self._grown()
        self._load_candidates()

    def _resolve(self, refresh: _Refresh, serving: Serving | None) -> None:
        with self._lock:
            self._refresh = None
        refresh.done.set_result(serving)
        refresh.heard.set()  # that nothing was heard, perhaps

    def _follow(self, heard: threading.Event) -> Serving | None:
        """Ask for the pointer and serve what it names. An error leaves everything as it was until the next poll."""
        started, serving = self._clock(), None
        try:
            pointer = self._store.live()
            heard.set()
            live = self._loaded_live(pointer) if pointer else None
            serving = self._switch(pointer, live) if pointer and live else None
            self._checked = started
        except Exception as error:  # nobody joins this thread: what is not logged here is not seen
            self._log_failure("the live version could not be followed", error)
            self._checked = self._clock()
        return serving or self._serving

    def _loaded_live(self, pointer: Live) -> "Predictor | None":
        """The version that the pointer names; where that is refused, the one that serves or the last good one."""
        serving = self._serving
        named = self._loader.follow(pointer.version, serving=serving.live.manifest.version if serving else None)
        return named or (serving.live if serving else self._last_good())

    def _last_good(self) -> "Predictor | None":
        before = release_stack(self._store.history())[-2::-1]
        loaded = (self._loader.follow(version, serving=None) for version in before)
        return next((predictor for predictor in loaded if predictor), None)

    def _switch(self, pointer: Live, live: "Predictor") -> Serving:
        """Serve what the pointer names, as far as it is in memory, and free what it names no more."""
        serving, swapped, gone = self._replace(pointer, live)
        if swapped:
            self._logger.info("serving", model_version=live.manifest.version)
        self._remove_files(gone)
        return serving

    def _replace(self, pointer: Live, live: "Predictor") -> tuple[Serving, bool, list[str]]:
        """What serves from now on, whether another version is live with it, and the versions that are named no more."""
        with self._lock:
            before = self._serving.predictors() if self._serving else {}
            held = {**self._others, **before, live.manifest.version: live}
            candidates = {version: held[version] for version in pointer.candidates() if version in held}
            swapped = self._serving is None or self._serving.live is not live
            self._serving = Serving(pointer, live, candidates)
            serves = self._serving.predictors()
            self._others = {version: other for version, other in self._others.items() if version not in serves}
            return self._serving, swapped, [version for version in before if version not in serves]

    # --- candidates

    def _load_candidates(self) -> None:
        if not self._loading.acquire(blocking=False):
            return
        try:
            while version := self._missing_candidate():
                self._load_candidate(version)
                self._grown()
        except Exception as error:  # as in ``_follow``; the next poll tries again
            self._log_failure("a candidate could not be loaded", error)
        finally:
            self._loading.release()

    def _missing_candidate(self) -> str | None:
        serving = self._serving
        wanted = serving.pointer.candidates() if serving else []
        missing = (v for v in wanted if serving and v not in serving.candidates and not self._loader.refusal(v))
        return next(missing, None)

    def _load_candidate(self, version: str) -> None:
        answering = self._serving.live.manifest.version if self._serving else None
        predictor = self._loader.follow(version, serving=answering)
        if predictor is None:
            return
        if self._admit(version, predictor):
            self._logger.info("candidate loaded", model_version=version)
        else:
            self._remove_files([version])

    def _admit(self, version: str, predictor: "Predictor") -> bool:
        """False if it was withdrawn while it was being loaded."""
        with self._lock:
            serving = self._serving
            if serving is None or version not in serving.pointer.candidates():
                return False
            self._serving = serving._replace(candidates={**serving.candidates, version: predictor})
            self._others.pop(version, None)
            return True

    def _labelled(self, label: str, serving: Serving) -> "Predictor":
        if label == "live":
            return serving.live
        version = labels_of(serving.pointer).get(label)
        if version is None:
            raise UnknownResource(
                f"{self._settings.model!r} has no {label} now.",
                field="version",
                remedy=f"The labels are {', '.join(LABELS)}; GET /v1/models/{self._settings.model} shows who has them.",
            )
        if predictor := serving.candidates.get(version):
            return predictor
        reason = self._loader.refusal(version) or "it is being loaded"
        raise ModelUnavailable(f"The {label} {version} cannot answer: {reason}.", remedy="Try again.")

    # --- memory

    def _keep(self, version: str, predictor: "Predictor") -> None:
        """Among the versions addressed by name, of which the least recently used go."""
        with self._lock:
            self._others.pop(version, None)
            self._others[version] = predictor
            surplus = [*self._others][:-_KEPT_BESIDE_LIVE]
            for least_recent in surplus:
                del self._others[least_recent]
        self._remove_files(surplus)

    def _remove_files(self, versions: Iterable[str]) -> None:
        for version in versions:
            self._loader.remove_files(version)

    def _reason(self) -> str:
        return next(iter(self.refused.values()), "none is live, or the model store cannot be read")

    def _log_failure(self, message: str, error: Exception) -> None:
        reason = str(error) if isinstance(error, SlipwayError) else type(error).__name__
        self._logger.warning(message, reason=reason)
