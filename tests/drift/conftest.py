"""A model's baseline and streams of texts, as counts: what a window is made of, without a model."""

import numpy as np
import pytest

from slipway.drift.bins import STATISTICS, UNKNOWN_EDGES, Bins, Counts

LABELS = ("bad", "fair", "good")
EDGES = {
    "confidence": [0.55, 0.63, 0.71, 0.78, 0.84, 0.89, 0.93, 0.96, 0.98],
    "tokens": [9.0, 13.0, 17.0, 20.0, 23.0, 27.0, 31.0, 36.0, 43.0],
    "unknown": list(UNKNOWN_EDGES),
}
USUAL = {
    "labels": [0.45, 0.1, 0.45],
    "confidence": [0.1] * 10,
    "tokens": [0.12, 0.08, *[0.1] * 8],
    "unknown": [0.9, 0.07, 0.02, 0.01, 0.0],
}


def drawn(texts: int, seed: int, **otherwise: list[float]) -> Counts:
    """A window of so many texts of the usual distributions, or of another one of a statistic."""
    chooser = np.random.default_rng(seed)
    return {name: chooser.multinomial(texts, otherwise.get(name, USUAL[name])).tolist() for name in STATISTICS}


@pytest.fixture(scope="session")
def bins() -> Bins:
    return Bins(LABELS, EDGES, unknown_id=1)


@pytest.fixture(scope="session")
def baseline() -> Counts:
    """Of a test split of 852 texts, as the demo's has."""
    return drawn(852, seed=0)
