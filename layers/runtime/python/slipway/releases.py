"""What serves, and what served: the live pointer with its candidates, the ledger, and the rule of rollback. No I/O.

``live.json`` is the truth; the ledger is its append-only history. A ledger key is made from the pointer's own
fields, so whoever next changes the pointer can write an entry that a killed process still owes.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Literal

from slipway.errors import StoreError

Action = Literal["promote", "rollback", "canary", "shadow", "withdraw"]


@dataclass(frozen=True)
class Canary:
    """A candidate that answers ``weight`` of the requests, above 0 and below 1, in place of the live version."""

    version: str
    weight: float

    def __post_init__(self) -> None:
        _check_candidate(self.version, self.weight)
        if self.weight == 1:
            raise ValueError(f"a canary's weight is below 1, not {self.weight!r}")


@dataclass(frozen=True)
class Shadow:
    """A candidate that answers nobody, and scores ``share`` of the requests, above 0 and at most 1, for the metrics."""

    version: str
    share: float

    def __post_init__(self) -> None:
        _check_candidate(self.version, self.share)


@dataclass(frozen=True, kw_only=True)
class Live:
    """The content of ``live.json``: ``version`` serves, ``canary`` and ``shadow`` are tried beside it.

    ``shadow`` is written as an object, and a bare version is read as well: it is sampled whole.
    """

    version: str
    action: Action
    by: str
    at: str
    why: str
    canary: Canary | None = None
    shadow: Shadow | None = None

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_json(cls, raw: bytes, *, source: str) -> "Live":
        """Fields of a later release are ignored. Raises StoreError if ``raw`` is not a pointer."""
        try:
            content = json.loads(raw)
            given = {f.name: content[f.name] for f in fields(cls) if f.name in content}
            for name, read in _CANDIDATES.items():
                given[name] = None if given.get(name) is None else read(given[name])
            live = cls(**given)
            live._validate()
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise StoreError(f"{source} is not a readable release record: {error}.") from error
        return live

    def candidates(self) -> list[str]:
        """The versions that are tried beside the live one, the canary first."""
        return [candidate.version for candidate in (self.canary, self.shadow) if candidate]

    def _validate(self) -> None:
        if not isinstance(self.version, str):
            raise TypeError(f"version {self.version!r} is not a text")
        _after(self.at)  # what the next pointer will be asked for

    def ledger_name(self) -> str:
        """``<time>-<version>.json``: the time sorts entries, to the microsecond."""
        return f"{self.at.replace('-', '').replace(':', '')}-{self.version}.json"


def new_live(
    version: str,
    action: Action,
    *,
    by: str,
    why: str,
    after: Live | None,
    canary: Canary | None = None,
    shadow: Shadow | None = None,
) -> Live:
    """A pointer of this moment, always later than the one it replaces, even if that clock ran ahead."""
    at = datetime.now(UTC)
    stamp = max(_stamp(at), _after(after.at) if after else "")
    return Live(version=version, action=action, by=by, at=stamp, why=why, canary=canary, shadow=shadow)


def choose_version(live: Live, request_id: str) -> str:
    """The version that answers the request: the canary's for ``weight`` of all ids, the live one for the others.

    An id meets the same version each time, and whoever meets a canary still meets it after its weight was raised.
    """
    canary = live.canary
    return canary.version if canary and _position(canary.version, request_id) < canary.weight else live.version


def choose_shadow(live: Live, request_id: str) -> str | None:
    """The version that scores the request unseen, or None if the request is not in the sample.

    Not in it are those that the canary answers: a shadow is held against the live version.
    """
    shadow = live.shadow
    if not shadow or choose_version(live, request_id) != live.version:
        return None
    return shadow.version if _position(shadow.version, request_id) < shadow.share else None


def release_stack(history: Sequence[Live]) -> list[str]:
    """The versions that a rollback can reach, the present one last; ``history`` is oldest first.

    A promotion pushes, a rollback pops, so that rolling back twice goes back two versions and not to the bad one.
    Entries about candidates repeat the version that was live, so that no candidate gets here unless it was promoted.
    """
    stack: list[str] = []
    for entry in history:
        if entry.action == "rollback" and entry.version in stack:
            while stack[-1] != entry.version:
                stack.pop()
        elif not stack or stack[-1] != entry.version:
            stack.append(entry.version)
    return stack


def _position(version: str, request_id: str) -> float:
    """Where the id falls in [0, 1): uniform over ids, and independent from one candidate to another."""
    digest = blake2b(f"{version} {request_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53  # all 64 bits would be rounded up to 1.0 at the end


def _check_candidate(version: Any, part: Any) -> None:
    if not isinstance(version, str):
        raise TypeError(f"the candidate's version {version!r} is not a text")
    if type(part) not in (int, float):
        raise TypeError(f"the candidate's part of the requests, {part!r}, is not a number")
    if not 0 < part <= 1:
        raise ValueError(f"the candidate's part of the requests is above 0 and at most 1, not {part!r}")


def _read_canary(content: Any) -> Canary:
    return Canary(**_only(content, "version", "weight"))


def _read_shadow(content: Any) -> Shadow:
    return Shadow(content, 1.0) if isinstance(content, str) else Shadow(**_only(content, "version", "share"))


_CANDIDATES: dict[str, Callable[[Any], Canary | Shadow]] = {"canary": _read_canary, "shadow": _read_shadow}


def _only(content: Any, *names: str) -> dict[str, Any]:
    """The fields ``names`` of a candidate; those of a later release are ignored here too."""
    if not isinstance(content, dict):
        raise TypeError(f"the candidate {content!r} is no object")
    if missing := [name for name in names if name not in content]:
        raise TypeError(f"the candidate {content!r} has no {missing[0]}")
    return {name: content[name] for name in names}


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _after(stamp: str) -> str:
    return _stamp(datetime.fromisoformat(stamp) + timedelta(microseconds=1))
