"""A text's place in each of the distributions that drift is looked for in.

    labels       the likeliest label
    confidence   its probability
    tokens       the text's length, before truncation
    unknown      the share of the tokens that the model read which its vocabulary lacks

The bins of the second and third are the deciles of the test split as the served variant answered it, so that each
holds about a tenth of what is normal. A build writes them, with the counts, to ``baseline`` in the manifest.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.artifact import Manifest
    from slipway.encoding import Encoded

STATISTICS = ("labels", "confidence", "tokens", "unknown")
UNKNOWN_EDGES = (0.0, 0.05, 0.2, 0.5)  # most texts of most models have none; what is above a half can't be read

Counts = dict[str, list[int]]  # texts in each bin, by statistic
Place = tuple[int, int, int, int]  # a text's bin, in the order of ``STATISTICS``


class Bins:
    """``edges`` has the largest value of each bin but the last, which takes what is above.

    ``unknown_id`` is the token for what the vocabulary lacks, None where it lacks nothing.
    """

    __slots__ = ("_labels", "edges", "labels", "unknown_id")

    def __init__(self, labels: Sequence[str], edges: Mapping[str, Sequence[float]], unknown_id: int | None) -> None:
        self.labels = tuple(labels)
        self.edges = edges
        self.unknown_id = unknown_id
        self._labels = {label: index for index, label in enumerate(labels)}

    @classmethod
    def of(cls, manifest: "Manifest") -> "Bins | None":
        """Those of a version's baseline; None if it was built before there were any."""
        kept = manifest.baseline.get("drift")
        return cls(manifest.labels, kept["edges"], kept["unknown_id"]) if kept else None

    def place(self, label: str, confidence: float, encoded: "Encoded") -> Place:
        """Where a text is; ``label`` must be one of the model's.

        >>> from types import SimpleNamespace
        >>> edges = {"confidence": [0.6, 0.9], "tokens": [4, 9], "unknown": UNKNOWN_EDGES}
        >>> text = SimpleNamespace(tokens=9, cost=3, windows=[SimpleNamespace(tolist=lambda: [2, 1, 3])])
        >>> Bins(["bad", "good"], edges, unknown_id=1).place("good", 0.95, text)
        (1, 2, 1, 3)
        """
        edges = self.edges
        return (
            self._labels[label],
            bisect_left(edges["confidence"], confidence),
            bisect_left(edges["tokens"], encoded.tokens),
            bisect_left(edges["unknown"], self._unknown(encoded)) if self.unknown_id is not None else 0,
        )

    def sizes(self) -> dict[str, int]:
        """How many bins each statistic has."""
        return {"labels": len(self.labels)} | {name: len(self.edges[name]) + 1 for name in STATISTICS[1:]}

    def count(self, places: Iterable[Place]) -> Counts:
        """How many texts are in each bin."""
        counts = self.none()
        for place in places:
            for name, index in zip(STATISTICS, place, strict=True):
                counts[name][index] += 1
        return counts

    def none(self) -> Counts:
        """The counts of no text."""
        return {name: [0] * size for name, size in self.sizes().items()}

    def names(self, statistic: str) -> list[str]:
        """Each bin as people call it.

        >>> Bins(["bad", "good"], {"tokens": [4, 9]}, None).names("tokens")
        ['up to 4', 'to 9', 'above 9']
        """
        if statistic == "labels":
            return [*self.labels]
        edges = [f"{100 * e:g} %" if statistic == "unknown" else f"{e:.4g}" for e in self.edges[statistic]]
        return [f"up to {edges[0]}", *(f"to {edge}" for edge in edges[1:]), f"above {edges[-1]}"]

    def _unknown(self, encoded: "Encoded") -> float:
        unknown: int = sum(window.tolist().count(self.unknown_id) for window in encoded.windows)
        return unknown / max(1, encoded.cost)


def baseline_counts(manifest: "Manifest") -> Counts:
    """The counts of the baseline, which ``Bins.of`` found to be there."""
    kept: dict[str, Any] = manifest.baseline["drift"]
    return {name: [*kept["counts"][name]] for name in STATISTICS}


def add(counts: Counts, more: Mapping[str, Sequence[int]]) -> Counts:
    """Both together."""
    return {name: [a + b for a, b in zip(counts[name], more[name], strict=True)] for name in STATISTICS}


def texts_in(counts: Mapping[str, Sequence[int]]) -> int:
    """How many texts were counted."""
    return sum(counts["labels"])
