"""What serves, and what served: the live pointer, the ledger's entries, and the rule of rollback. No I/O.

``live.json`` is the truth; the ledger is its append-only history. A ledger key is made from the pointer's own
fields, so whoever next changes the pointer can write an entry that a killed process still owes.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from slipway.errors import StoreError

Action = Literal["promote", "rollback"]


@dataclass(frozen=True, kw_only=True)
class Live:
    """The content of ``live.json``. ``canary`` and ``shadow`` name candidates; nothing serves them yet."""

    version: str
    action: Action
    by: str
    at: str
    why: str
    canary: dict[str, Any] | None = None
    shadow: str | None = None

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_json(cls, raw: bytes, *, source: str) -> "Live":
        """Fields of a later release are ignored. Raises StoreError if ``raw`` is not a pointer."""
        try:
            content = json.loads(raw)
            live = cls(**{f.name: content[f.name] for f in fields(cls) if f.name in content})
            live._validate()
        except (ValueError, TypeError, RecursionError) as error:
            raise StoreError(f"{source} is not a readable release record: {error}.") from error
        return live

    def _validate(self) -> None:
        if not isinstance(self.version, str):
            raise TypeError(f"version {self.version!r} is not a text")
        _after(self.at)  # what the next pointer will be asked for

    def ledger_name(self) -> str:
        """``<time>-<version>.json``: the time sorts entries, to the microsecond."""
        return f"{self.at.replace('-', '').replace(':', '')}-{self.version}.json"


def new_live(version: str, action: Action, *, by: str, why: str, after: Live | None) -> Live:
    """A pointer of this moment, always later than the one it replaces, even if that clock ran ahead."""
    at = datetime.now(UTC)
    stamp = max(_stamp(at), _after(after.at) if after else "")
    return Live(version=version, action=action, by=by, at=stamp, why=why)


def release_stack(history: Sequence[Live]) -> list[str]:
    """The versions that a rollback can reach, the present one last; ``history`` is oldest first.

    A promotion pushes, a rollback pops, so that rolling back twice goes back two versions and not to the bad one.
    """
    stack: list[str] = []
    for entry in history:
        if entry.action == "rollback" and entry.version in stack:
            while stack[-1] != entry.version:
                stack.pop()
        elif not stack or stack[-1] != entry.version:
            stack.append(entry.version)
    return stack


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _after(stamp: str) -> str:
    return _stamp(datetime.fromisoformat(stamp) + timedelta(microseconds=1))
