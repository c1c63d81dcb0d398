"""The model that answers: loaded once, followed through ``live.json``, swapped without a request waiting for it.

A warm function asks for the pointer every few seconds and loads a new version beside the old one, in a thread that the
requests of that time do not wait for. Lambda freezes that thread between requests, so a request that finds the last
answer of the store too old does wait: that bounds how late a promotion reaches a function with little traffic.
"""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from aws_lambda_powertools import Logger

from slipway.errors import ArtifactError, ModelUnavailable, SlipwayError, StoreError, UnknownResource, UnknownVersion
from slipway.predictor import Predictor, load_predictor
from slipway.releases import Live, release_stack
from slipway.settings import Settings, function_vcpus
from slipway.store import Store

_KEPT_BESIDE_LIVE = 2  # versions that callers address by name; the least recently used one goes
_REFUSED_SECONDS = 60.0  # before a refused version is tried again: somebody may have mended the store
_LONGEST_WAIT = 20.0  # of a request for a refresh; API Gateway gives up after 29 s


class LiveModel:
    """The live version and a few that are addressed by name. Safe to call from several threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store,
        cache: Path,
        logger: Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.refused: dict[str, str] = {}
        self._settings = settings
        self._store = store
        self._cache = cache
        self._logger = logger
        self._clock = clock
        self._current: Predictor | None = None
        self._others: dict[str, Predictor] = {}
        self._refused_at: dict[str, float] = {}
        self._checked = float("-inf")
        self._refresh: threading.Thread | None = None
        self._lock = threading.Lock()  # of the fields, never held over I/O
        self._files = threading.Lock()  # of the cache: a version is not removed while it is being opened

    def current(self) -> Predictor:
        """The live version's predictor, at most ``stale_seconds`` behind ``live.json`` while S3 answers.

        Raises ModelUnavailable if no version can be served.
        """
        refresh = self._start_refresh()
        if refresh and (self._current is None or self._age() > self._settings.stale_seconds):
            refresh.join(_LONGEST_WAIT)
        if self._current is None:
            raise ModelUnavailable(
                f"No version of {self._settings.model!r} can be served: {self._reason()}.",
                remedy="Publish a version and promote it: `slipway publish`, `slipway promote`.",
            )
        return self._current

    def version(self, version: str) -> Predictor:
        """The predictor of any published version.

        Raises UnknownResource if there is no such version, ModelUnavailable if it is refused or cannot be fetched.
        """
        current = self.current()
        if version == current.manifest.version:
            return current
        with self._lock:
            predictor = self._others.pop(version, None)
        predictor = predictor or self._load_named(version)
        with self._lock:
            self._others[version] = predictor
            surplus = [*self._others][:-_KEPT_BESIDE_LIVE]
            for least_recent in surplus:
                del self._others[least_recent]
        for least_recent in surplus:
            self._remove_files(least_recent)
        return predictor

    def loaded(self) -> list[str]:
        """Versions in memory, the live one first."""
        return [self.current().manifest.version, *reversed(self._others)]

    def expire(self) -> None:
        """Make the next request ask the store first: after a SnapStart restore the pointer may be hours old."""
        self._checked = float("-inf")

    def _start_refresh(self) -> threading.Thread | None:
        with self._lock:
            if self._refresh and self._refresh.is_alive():
                return self._refresh
            if self._current is not None and self._age() < self._settings.poll_seconds:
                return None
            self._refresh = threading.Thread(target=self._follow, name="refresh", daemon=True)
            self._refresh.start()
            return self._refresh

    def _age(self) -> float:
        return self._clock() - self._checked

    def _follow(self) -> None:
        """Ask for the pointer and serve what it names. An error leaves everything as it was until the next poll."""
        started = self._clock()
        try:
            live = self._store.live()
            if live is not None:
                self._serve(live)
            self._checked = started
        except Exception as error:  # nobody joins this thread: what is not logged here is not seen
            reason = str(error) if isinstance(error, SlipwayError) else type(error).__name__
            self._logger.warning("the live version could not be followed", reason=reason)
            self._checked = self._clock()

    def _serve(self, live: Live) -> None:
        served = self._current.manifest.version if self._current else ""
        if live.version == served or self._swap(live.version):
            return
        if not self._current:  # a cold start finds a broken version live: the last good one serves on
            for version in release_stack(self._store.history())[-2::-1]:
                if self._swap(version):
                    return

    def _swap(self, version: str) -> bool:
        if self._refused_lately(version):
            return False
        try:
            predictor = self._load(version)
        except (ArtifactError, UnknownVersion) as error:
            self._refuse(version, error)
            return False
        with self._lock:
            previous, self._current = self._current, predictor
            self._others.pop(version, None)
        self.refused.pop(version, None)
        self._logger.info("serving", model_version=version)
        if previous:
            self._remove_files(previous.manifest.version)
        return True

    def _refuse(self, version: str, error: SlipwayError) -> None:
        self.refused[version] = str(error)
        self._refused_at[version] = self._clock()
        serving = self._current.manifest.version if self._current else None
        self._logger.error("version refused", model_version=version, reason=str(error), still_serving=serving)

    def _load(self, version: str) -> Predictor:
        with self._files:
            directory = self._store.fetch(version, None, self._cache)
            try:
                return load_predictor(directory, threads=function_vcpus())
            except ArtifactError:
                shutil.rmtree(directory, ignore_errors=True)  # the next try downloads it again
                raise

    def _load_named(self, version: str) -> Predictor:
        if self._refused_lately(version):
            raise ModelUnavailable(f"The version {version} is refused: {self.refused[version]}")
        try:
            return self._load(version)
        except UnknownVersion as error:
            raise UnknownResource(  # not the store's own words: they name the bucket
                f"{self._settings.model!r} has no version {version[:64]!r}.",
                field="version",
                remedy=f"GET /v1/models/{self._settings.model} names those in memory; a version is published first.",
            ) from error
        except ArtifactError as error:
            self._refuse(version, error)
            raise ModelUnavailable(f"The version {version} is refused: {error}") from error
        except StoreError as error:
            raise ModelUnavailable("The model store cannot be read now.", remedy="Try again.") from error

    def _refused_lately(self, version: str) -> bool:
        return self._clock() - self._refused_at.get(version, float("-inf")) < _REFUSED_SECONDS

    def _remove_files(self, version: str) -> None:
        """Free /tmp. A session that is still answering keeps its mapped weights: the kernel frees them after it."""
        with self._files:
            shutil.rmtree(self._cache / version, ignore_errors=True)

    def _reason(self) -> str:
        return next(iter(self.refused.values()), "none is live, or the model store cannot be read")
