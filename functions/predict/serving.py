"""What a function has in memory of one model, and what a request gets of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from functions.predict.loading import LABELS
from slipway.releases import Live

if TYPE_CHECKING:
    from slipway.predictor import Predictor


class Chosen(NamedTuple):
    """What answers one request, and as what; and what the pointer says, with the live version beside it."""

    predictor: "Predictor"
    role: Literal["live", "canary"]
    pointer: Live
    live: "Predictor"


class Serving(NamedTuple):
    """What the pointer named, as far as it is in memory. Replaced whole, so that no request sees half of a switch.

    ``live`` is the last good version where the one that ``pointer`` names is refused.
    """

    pointer: Live
    live: "Predictor"
    candidates: Mapping[str, "Predictor"]

    def predictors(self) -> dict[str, "Predictor"]:
        """All of them by version, the live one first."""
        return {self.live.manifest.version: self.live, **self.candidates}

    def roles(self, version: str) -> tuple[str, ...]:
        """The labels that ``version`` has."""
        named = {"live": self.live.manifest.version, **labels_of(self.pointer)}
        return tuple(label for label in LABELS if named.get(label) == version)


def labels_of(pointer: Live) -> dict[str, str]:
    """The versions that are candidates, by their labels."""
    named = {"canary": pointer.canary, "shadow": pointer.shadow}
    return {label: candidate.version for label, candidate in named.items() if candidate}


def size_of(predictor: "Predictor") -> int:
    """Bytes of the files that it opened."""
    manifest = predictor.manifest
    return sum(manifest.files[name].size for name in manifest.serving_files())
