"""The model store: versions, the live pointer and its ledger. With ``slipway.versions`` the only user of S3 for models.

models/<model>/<version>/…              see ``slipway.versions``
models/<model>/live.json                replaced by conditional write (If-Match)
models/<model>/ledger/<time>-<version>.json   created by conditional write (If-None-Match), never changed
models/<model>/traffic.json             replaced every minute where there is a GPU: see ``slipway.pulse``
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from slipway.errors import Conflict, StoreError
from slipway.releases import Canary, Live, Shadow, new_live, release_stack
from slipway.versions import Versions

if TYPE_CHECKING:
    from slipway.pulse import Pulse

_LIVE, _TRAFFIC = "live.json", "traffic.json"
_Candidate = TypeVar("_Candidate", Canary, Shadow)


class Store(Versions):
    """The versions of one model in one bucket, and which of them serves. Raises as ``Versions`` does."""

    def live(self) -> Live | None:
        """The live pointer, or None before the first promotion."""
        return self._live()[0]

    def history(self) -> list[Live]:
        """What served when, oldest first; the last entry is the live one."""
        keys = sorted(self._objects.names("ledger/"))
        entries = [Live.from_json(found[0], source=key) for key in keys if (found := self._objects.read(key))]
        live = self.live()
        return entries if live is None or live in entries else [*entries, live]

    def promote(self, version: str, *, by: str, why: str) -> Live:
        """Make a published version live. Of two promotions at once both are recorded, and the later one serves.

        A canary ends with it, whichever version it was of: it was weighed against a version that serves no more. A
        shadow goes on beside the new live version, unless it was of this one.
        """

        def change(present: Live | None) -> Live:
            self._manifest_bytes(version)
            shadow = _unless(version, present.shadow if present else None)
            return new_live(version, "promote", by=by, why=why, after=present, shadow=shadow)

        return self._switch(change, attempts=5)

    def canary(self, version: str, weight: float, *, by: str, why: str) -> Live:
        """Let a published version answer ``weight`` of the requests, above 0 and below 1; the live version stays.

        Again with another weight, it changes that. A shadow of the same version ends: a version has one role.

        Raises Conflict if somebody changed the pointer meanwhile: what it was to be weighed against may have changed.
        """
        candidate = _candidate(Canary, version, weight)

        def change(present: Live | None) -> Live:
            live = self._beside(version, present)
            shadow = _unless(version, live.shadow)
            return new_live(live.version, "canary", by=by, why=why, after=live, canary=candidate, shadow=shadow)

        return self._switch(change, attempts=1)

    def shadow(self, version: str, share: float, *, by: str, why: str) -> Live:
        """Let a published version score ``share`` of the requests unseen, above 0 and at most 1; the live one stays.

        A canary of the same version ends: that is the step back. Raises Conflict as ``canary`` does.
        """
        candidate = _candidate(Shadow, version, share)

        def change(present: Live | None) -> Live:
            live = self._beside(version, present)
            canary = _unless(version, live.canary)
            return new_live(live.version, "shadow", by=by, why=why, after=live, canary=canary, shadow=candidate)

        return self._switch(change, attempts=1)

    def rollback(self, *, by: str, why: str, to: str | None = None) -> Live:
        """Withdraw the candidates; if there are none, make the previous version live again. ``to`` makes that one live.

        No candidate outlives it: whoever rolls back wants what is known to be good and nothing else.

        Raises Conflict if somebody changed the pointer meanwhile: what "previous" means has changed with it.
        """

        def change(present: Live | None) -> Live:
            if present and present.candidates() and to is None:
                return new_live(present.version, "withdraw", by=by, why=why, after=present)
            version = to or self._previous()
            self._manifest_bytes(version)
            return new_live(version, "rollback", by=by, why=why, after=present)

        return self._switch(change, attempts=1)

    def pulse(self) -> "Pulse | None":
        """What was last written of the model's traffic, or None."""
        from slipway.pulse import Pulse  # only a function with a GPU beside it asks

        found = self._objects.read(_TRAFFIC)
        return Pulse.from_json(found[0]) if found else None

    def write_pulse(self, pulse: "Pulse") -> None:
        """Replace it."""
        self._objects.write(_TRAFFIC, [pulse.to_json()])

    def replace(self, expected: Live, live: Live) -> Live:
        """Point to ``live`` where ``expected`` still holds: for who decided about that pointer and no other.

        Raises Conflict if somebody changed it meanwhile.
        """

        def change(present: Live | None) -> Live:
            if present != expected:
                raise self._conflict()
            return live

        return self._switch(change, attempts=1)

    def _switch(self, change: Callable[[Live | None], Live], *, attempts: int) -> Live:
        for _ in range(attempts):
            present, etag = self._live()
            live = change(present)
            if present:  # an entry that a process killed between its two writes still owes
                self._record(present)
            if self._point(live, etag) or self.live() == live:  # written, though the answer to it was lost
                self._record(live)
                return live
        raise self._conflict()

    def _conflict(self) -> Conflict:
        return Conflict(
            f"The live version of {self.model!r} was changed by somebody else at the same time.",
            remedy="Look at `slipway history`, then decide again.",
        )

    def _beside(self, candidate: str, present: Live | None) -> Live:
        """The pointer that a candidate is put beside."""
        self._manifest_bytes(candidate)
        if present is None:
            raise StoreError(
                f"No version of {self.model!r} is live: there is nothing to try {candidate} beside.",
                remedy="Promote it without --canary or --shadow.",
            )
        if candidate == present.version:
            raise StoreError(
                f"{candidate} is the live version of {self.model!r}: it cannot be tried beside itself.",
                remedy="Name another version; `slipway history` shows what is live.",
            )
        return present

    def _previous(self) -> str:
        stack = release_stack(self.history())
        if len(stack) < 2:
            raise StoreError(
                f"No version of {self.model!r} served before the present one: there is nothing to roll back to.",
                remedy="`slipway rollback --to VERSION` takes any published version.",
            )
        return stack[-2]

    def _live(self) -> tuple[Live | None, str]:
        found = self._objects.read(_LIVE)
        return (Live.from_json(found[0], source=self._objects.url(_LIVE)), found[1]) if found else (None, "")

    def _point(self, live: Live, etag: str) -> bool:
        body = live.to_json()
        return self._objects.replace(_LIVE, body, etag=etag) if etag else self._objects.create(_LIVE, body)

    def _record(self, live: Live) -> None:
        self._objects.create(f"ledger/{live.ledger_name()}", live.to_json())


def _candidate(role: type[_Candidate], version: str, part: float) -> _Candidate:
    try:
        return role(version, part)
    except ValueError as error:
        raise StoreError(
            f"{version} cannot be tried: {error}.", remedy="0.1 stands for 10 % of the requests."
        ) from error


def _unless(version: str, candidate: _Candidate | None) -> _Candidate | None:
    """The candidate, unless it is ``version``, which is about to have another role."""
    return None if candidate is None or candidate.version == version else candidate
