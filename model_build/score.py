"""An artifact against labelled text, as ``slipway evaluate`` asks for it."""

from pathlib import Path
from typing import get_args

import numpy as np

from model_build.clean import SPLITS, clean, collect
from model_build.config import BuildConfig
from model_build.data import read_rows
from model_build.evaluate import metrics
from slipway.artifact import Variant
from slipway.errors import BuildError
from slipway.predictor import load_predictor


def score_artifact(directory: Path, config: BuildConfig, *, split: str, variant: str) -> dict[str, float]:
    """Metrics of one variant on ``split`` (or ``all``) of the data that ``config`` names.

    Raises BuildError if the data has labels that the artifact does not know.
    """
    if split not in (*SPLITS, "all") or variant not in get_args(Variant):
        raise BuildError(
            f"There is no split {split!r} or no variant {variant!r}.", remedy="See slipway evaluate --help."
        )
    predictor = load_predictor(directory, variant)  # type: ignore[arg-type]
    known = predictor.manifest.labels
    examples = _examples(config, split)
    if not examples:
        raise BuildError(f"{config.data.path} has no usable row.")
    if unknown := sorted({label for _, label in examples} - set(known)):
        raise BuildError(f"The data has the label {unknown[0]!r}; the artifact knows {', '.join(known)}.")
    labels = np.array([known.index(label) for _, label in examples])
    answers = predictor.predict([text for text, _ in examples])
    log_probabilities = np.log(np.maximum([answer.probabilities for answer in answers], 1e-12)).astype(np.float32)
    return metrics(log_probabilities, labels, temperature=1.0) | {"texts": float(len(examples))}


def _examples(config: BuildConfig, split: str) -> list[tuple[str, str]]:
    """Texts with the names of their labels. ``all`` is not split, so it may be as small as it likes."""
    rows = read_rows(config.data)
    if split == "all":
        return collect(rows, config.data).examples(config.data)
    dataset = clean(rows, config.data)
    return [(example.text, dataset.labels[example.label]) for example in dataset.splits[split]]
