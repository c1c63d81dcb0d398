"""An issuer's public keys: found through OpenID Connect discovery, kept, and fetched again when they have changed."""

import json
import logging
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import urllib3

from functions.authorize.tokens import PublicKey, read_key

KEPT = 3_600.0  # seconds after which keys are fetched again: a key that its issuer withdrew is trusted no longer
STALE = 86_400.0  # seconds that they are trusted for while the issuer does not answer
PAUSE = 30.0  # seconds between two fetches, so that tokens with invented key ids are no flood at the issuer's
_LARGEST = 1 << 20  # bytes of an answer
_MOST_KEYS = 100
_LOOPBACK = ("127.0.0.1", "localhost")

logger = logging.getLogger()
FetchJson = Callable[[str], Any]


class KeysUnavailable(Exception):
    """The issuer did not tell its keys: nothing can be said about a token."""


class IssuerKeys:
    """The keys of ``issuer`` by their ids. Safe to use from several threads."""

    def __init__(
        self, issuer: str, *, fetch: FetchJson | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch or fetch_json
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched = self._tried = -STALE
        self._lock = threading.Lock()

    def find(self, key_id: str) -> PublicKey | None:
        """The key of that id; of an issuer with one key also if the token names none.

        Raises KeysUnavailable if the issuer has not answered for too long.
        """
        with self._lock:
            age = self._clock() - self._fetched
            if age >= KEPT or key_id not in self._keys:
                self._refresh()
            if self._clock() - self._fetched >= STALE:
                raise KeysUnavailable(f"The issuer {self._issuer} does not tell its keys.")
            if not key_id and len(self._keys) == 1:
                return next(iter(self._keys.values()))
            return self._keys.get(key_id)

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._tried < PAUSE:
            return
        self._tried = now
        try:
            self._keys = self._read()
            self._fetched = now
        except (ValueError, OSError, urllib3.exceptions.HTTPError) as error:
            logger.warning("keys", extra={"issuer": self._issuer, "error": f"{type(error).__name__}: {error}"})

    def _read(self) -> dict[str, PublicKey]:
        told = self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if not isinstance(told, dict) or told.get("issuer") != self._issuer:
            raise ValueError("the configuration is of another issuer")
        listed = self._fetch(_safe(str(told.get("jwks_uri"))))
        keys = listed.get("keys") if isinstance(listed, dict) else None
        if not isinstance(keys, list):
            raise ValueError("there is no list of keys")
        read = {str(key.get("kid", "")): read_key(key) for key in keys[:_MOST_KEYS] if isinstance(key, dict)}
        return {key_id: key for key_id, key in read.items() if key is not None}


def fetch_json(url: str) -> Any:
    """The JSON document at ``url``. Raises ValueError, OSError or HTTPError."""
    answer = urllib3.request(
        "GET", url, timeout=urllib3.Timeout(total=3.0), retries=False, redirect=False, preload_content=False
    )
    try:
        body = answer.read(_LARGEST + 1)
    finally:
        answer.release_conn()
    if answer.status != 200 or len(body) > _LARGEST:
        raise ValueError(f"HTTP {answer.status}, {len(body):,} bytes")
    return json.loads(body)


def _safe(url: str) -> str:
    """Raises ValueError unless it is TLS, or this machine itself."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise ValueError("the address of the keys is not https://")
    return url
