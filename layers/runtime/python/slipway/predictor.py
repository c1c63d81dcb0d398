"""One version of one model, ready to answer: texts to predictions. ``slipway.loading`` opens one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slipway.artifact import TOKENIZER, Manifest, Variant, model_file
from slipway.drift.bins import Bins
from slipway.encoding import Encoded, Encoder
from slipway.errors import ArtifactError
from slipway.network import Network
from slipway.probabilities import Logits, Probabilities, calibrate

if TYPE_CHECKING:
    from slipway.requests import Truncation


class Prediction(NamedTuple):
    """``logits`` and ``probabilities`` have shape (labels,); in a single-label task probabilities sum to 1.

    ``tokens`` counts the whole text, before truncation.
    """

    logits: Logits
    probabilities: Probabilities
    tokens: int
    truncated: bool


class Predictor:
    """One version of one model, ready to answer. Safe to call from several threads."""

    def __init__(self, network: Network, encoder: Encoder, manifest: Manifest) -> None:
        self.manifest = manifest
        self.encoder = encoder
        self.bins = Bins.of(manifest)
        self._network = network

    def predict(self, texts: Sequence[str], *, truncation: "Truncation" = "right") -> list[Prediction]:
        """One prediction a text, in order."""
        return self.classify(self.encoder.encode(texts, truncation=truncation))

    def classify(self, encoded: Sequence[Encoded]) -> list[Prediction]:
        """As ``predict``, for texts that are already encoded. The windows of a text count by their mean logits."""
        if not encoded:
            return []
        logits = self._network.logits([window for e in encoded for window in e.windows])
        if len(logits) > len(encoded):
            counts = [len(e.windows) for e in encoded]
            firsts = np.cumsum([0, *counts[:-1]])
            sums = np.add.reduceat(logits, firsts, axis=0)
            logits = (sums / np.array(counts)[:, None]).astype(np.float32)
        probabilities = calibrate(logits, self.manifest.temperature, self.manifest.task)
        rows = zip(logits, probabilities, encoded, strict=True)
        return [Prediction(raw, chances, e.tokens, e.truncated) for raw, chances, e in rows]

    def replay_golden(
        self, variant: Variant, *, tokens: int | None = None, encoded: Sequence[Encoded] | None = None
    ) -> None:
        """Answer the manifest's golden examples again. Raises ArtifactError where an answer differs.

        All of them are encoded, unless ``encode_golden`` has; of a number of ``tokens`` only as many of the shortest,
        at least one, are classified.
        """
        golden, graph = self.manifest.golden, model_file(variant)
        tolerance = self.manifest.tolerances.get(variant)
        if tolerance is None or not all(variant in example.probabilities for example in golden):
            raise _not_reproduced(self.manifest, graph, "the manifest has none for it")
        if encoded is None:
            encoded = encode_golden(self.encoder, self.manifest)
        chosen = range(len(golden)) if tokens is None else _shortest([e.cost for e in encoded], tokens)
        answers = np.array([answer.probabilities for answer in self.classify([encoded[index] for index in chosen])])
        expected = np.array([golden[index].probabilities[variant] for index in chosen])
        if answers.shape != expected.shape:
            raise _not_reproduced(self.manifest, graph, f"it gives {answers.shape[1]} probabilities a text")
        difference = float(np.abs(answers - expected).max())
        if not difference <= tolerance:  # also refuses NaN
            reason = f"a probability differs by {difference:.4f}, allowed are {tolerance:.4f}"
            raise _not_reproduced(self.manifest, graph, reason)


def encode_golden(encoder: Encoder, manifest: Manifest) -> list[Encoded]:
    """The golden examples, in order. Raises ArtifactError where the token ids are others than the manifest's."""
    encoded = encoder.encode([example.text for example in manifest.golden])
    if any(e.ids.tolist() != example.token_ids for e, example in zip(encoded, manifest.golden, strict=True)):
        raise _not_reproduced(manifest, TOKENIZER, "token ids differ")
    return encoded


def _not_reproduced(manifest: Manifest, name: str, reason: str) -> ArtifactError:
    return ArtifactError(
        f"{name} of {manifest.model} {manifest.version} does not reproduce its golden examples: {reason}.",
        remedy="Build the model again on this release of onnxruntime and tokenizers.",
    )


def _shortest(costs: Sequence[int], budget: int) -> list[int]:
    """Indices of the lowest costs that fit together into ``budget``, at least one.

    >>> _shortest([9, 2, 30, 4], 16)
    [1, 3, 0]
    """
    order = sorted(range(len(costs)), key=costs.__getitem__)
    fitting = np.cumsum([costs[index] for index in order]) <= budget
    return order[: max(1, int(fitting.sum()))]
