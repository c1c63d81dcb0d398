"""Two versions of a model side by side, by what their manifests say. No I/O, and not loaded where predictions are made.

``slipway compare`` has both answer the same texts; this one asks neither of them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from slipway.artifact import CARD, REPORT, Manifest

# Of a manifest, what a caller notices beside the answers themselves.
_SETTINGS = ("task", "max_tokens", "serve", "temperature")


@dataclass(frozen=True)
class Change:
    """One value of both versions, None where a version lacks it; ``difference`` is b - a if both are numbers."""

    a: Any
    b: Any
    difference: float | None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What ``slipway diff A B`` tells. Labels were added or removed on the way from ``a`` to ``b``.

    ``training`` holds only what differs. ``metrics`` is split → variant → name, ``speed`` variant → milliseconds and
    megabytes, ``sizes`` file → bytes. The two flags say whether the fingerprints of the data, and of configuration and
    code, are equal.
    """

    a: str
    b: str
    labels_added: list[str]
    labels_removed: list[str]
    settings: dict[str, Change]
    training: dict[str, Change]
    metrics: dict[str, dict[str, dict[str, Change]]]
    speed: dict[str, dict[str, Change]]
    sizes: dict[str, Change]
    same_data: bool
    same_build: bool

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def compare_manifests(a: Manifest, b: Manifest) -> Difference:
    """``b`` against ``a``, the older one as a rule."""
    training = _side_by_side(a.training, b.training)
    return Difference(
        a=a.version,
        b=b.version,
        labels_added=[label for label in b.labels if label not in a.labels],
        labels_removed=[label for label in a.labels if label not in b.labels],
        settings={name: _change(getattr(a, name), getattr(b, name)) for name in _SETTINGS},
        training={name: change for name, change in training.items() if change.a != change.b},
        metrics=_nested(a.metrics, b.metrics, depth=3),
        speed=_nested(a.speed, b.speed, depth=2),
        sizes=_side_by_side(_sizes(a), _sizes(b)),
        same_data=a.data_fingerprint == b.data_fingerprint,
        same_build=a.build_fingerprint == b.build_fingerprint,
    )


def _sizes(manifest: Manifest) -> dict[str, int]:
    """Bytes of what serves; what people read has pictures, whose sizes say nothing."""
    return {n: entry.size for n, entry in manifest.files.items() if n != CARD and not n.startswith(REPORT)}


def _nested(a: Mapping[str, Any], b: Mapping[str, Any], *, depth: int) -> dict[str, Any]:
    """``depth`` levels of names over changes; a name that one side lacks is on the other."""
    if depth == 1:
        return dict(_side_by_side(a, b))
    return {name: _nested(a.get(name, {}), b.get(name, {}), depth=depth - 1) for name in {**a, **b}}


def _side_by_side(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Change]:
    return {name: _change(a.get(name), b.get(name)) for name in {**a, **b}}


def _change(a: Any, b: Any) -> Change:
    return Change(a, b, b - a if _is_number(a) and _is_number(b) else None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
