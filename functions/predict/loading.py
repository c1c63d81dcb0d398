"""Versions from the store into memory: fetched, opened and checked once, and refused for a while where that fails."""

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from aws_lambda_powertools import Logger

from functions.predict.scratch import KILLED, Scratch, remove
from slipway.errors import (
    ArtifactError,
    DamagedArtifact,
    ModelUnavailable,
    StoreError,
    UnknownResource,
    UnknownVersion,
)
from slipway.loading import REPLAY_TOKENS, load_predictor
from slipway.settings import function_vcpus
from slipway.store import Store

if TYPE_CHECKING:
    from slipway.predictor import Predictor

LABELS = ("live", "canary", "shadow")
_REFUSED_SECONDS = 60.0  # before a refused version is tried again: somebody may have mended the store
_NICENESS = 10  # of a load beside one that answers: on one vCPU a tenth of it while a request runs (docs/model-log.md)


class Loader:
    """Opens versions of one model. Safe to call from several threads; loads of different versions don't wait for each
    other.

    A version that is in memory anywhere is not opened twice: one that changes its role costs nothing. One that the
    process before this one did not survive is refused for a while, too: it would take this one along.
    """

    def __init__(self, store: Store, scratch: Scratch, logger: Logger, clock: Callable[[], float]) -> None:
        self.refused: Mapping[str, str] = {}  # replaced, never changed: requests read it meanwhile
        self._store = store
        self._scratch = scratch
        self._cache = scratch.folder / store.model
        self._logger = logger
        self._clock = clock
        self._refused_at: dict[str, float] = {}
        self._open: WeakValueDictionary[str, Predictor] = WeakValueDictionary()
        self._turns: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
        self._lock = threading.Lock()  # of the fields, never held over I/O
        for model, version in scratch.killers:
            if model == store.model:
                self._refuse(version, KILLED, serving=None)

    def follow(self, version: str, *, serving: str | None) -> "Predictor | None":
        """A version that ``live.json`` names; None if it is refused, now or less than a minute ago.

        ``serving`` is the version that answers all the same, for the log. Raises StoreError if S3 cannot be asked.
        """
        if self.refusal(version):
            return None
        try:
            return self._load(version)
        except (ArtifactError, UnknownVersion) as error:
            self._refuse(version, str(error), serving)
            return None

    def named(self, version: str, *, serving: str | None) -> "Predictor":
        """A version that a caller names.

        Raises UnknownResource if there is no such version, ModelUnavailable if it is refused or cannot be fetched.
        """
        if reason := self.refusal(version):
            raise ModelUnavailable(f"The version {version} is refused: {reason}")
        try:
            return self._load(version)
        except UnknownVersion as error:
            raise UnknownResource(  # not the store's own words: they name the bucket
                f"{self._store.model!r} has no version {version[:64]!r}.",
                field="version",
                remedy=f"GET /v1/models/{self._store.model} names those in memory; a version is published first. "
                f"The labels are {', '.join(LABELS)}.",
            ) from error
        except ArtifactError as error:
            self._refuse(version, str(error), serving)
            raise ModelUnavailable(f"The version {version} is refused: {error}") from error
        except StoreError as error:
            raise ModelUnavailable("The model store cannot be read now.", remedy="Try again.") from error

    def refusal(self, version: str) -> str:
        """Why it would be no use to try ``version`` now; empty if it may be tried."""
        refused_at = self._refused_at.get(version, float("-inf"))
        return self.refused.get(version, "") if self._clock() - refused_at < _REFUSED_SECONDS else ""

    def remove_files(self, version: str) -> None:
        """Free /tmp. A session that is still answering keeps its mapped weights: the kernel frees them after it."""
        with self._turn(version):
            remove(self._cache / version)

    def _load(self, version: str) -> "Predictor":
        with self._turn(version):
            predictor = self._open.get(version)
            if predictor is None:
                predictor = self._open[version] = self._load_files(version)
        with self._lock:
            self.refused = {other: why for other, why in self.refused.items() if other != version}
        return predictor

    def _load_files(self, version: str) -> "Predictor":
        try:
            return self._open_files(version)
        except DamagedArtifact as error:  # perhaps on its way here: S3 keeps what it was given
            self._logger.warning("version fetched again", model_version=version, reason=str(error))
            return self._open_files(version)

    def _open_files(self, version: str) -> "Predictor":
        answering = bool(self._open)
        directory = self._store.fetch(version, None, self._cache, in_turn=answering)
        try:
            with self._scratch.at_risk(self._store.model, version):
                return load_predictor(
                    directory,
                    threads=function_vcpus(),
                    replay_tokens=REPLAY_TOKENS,
                    niceness=_NICENESS if answering else 0,
                )
        except ArtifactError:
            remove(directory)  # the next try downloads it again
            raise

    def _turn(self, version: str) -> threading.Lock:
        """A version is not removed while it is being opened. The lock lives as long as somebody holds or awaits it."""
        with self._lock:
            return self._turns.setdefault(version, threading.Lock())

    def _refuse(self, version: str, reason: str, serving: str | None) -> None:
        with self._lock:
            self.refused = {**self.refused, version: reason}
            self._refused_at[version] = self._clock()
        self._logger.error("version refused", model_version=version, reason=reason, still_serving=serving)
