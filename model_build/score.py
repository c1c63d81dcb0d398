"""An artifact against labelled text, as ``slipway evaluate`` asks for it."""

from pathlib import Path
from typing import get_args

import numpy as np

from model_build.clean import SPLITS, clean
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
    dataset = clean(read_rows(config.data), config.data)
    if unknown := sorted(set(dataset.labels) - set(known)):
        raise BuildError(f"The data has the label {unknown[0]!r}; the artifact knows {', '.join(known)}.")
    chosen = SPLITS if split == "all" else (split,)
    examples = [example for name in chosen for example in dataset.splits[name]]
    labels = np.array([known.index(dataset.labels[example.label]) for example in examples])
    answers = predictor.predict([example.text for example in examples])
    log_probabilities = np.log(np.maximum([answer.probabilities for answer in answers], 1e-12)).astype(np.float32)
    return metrics(log_probabilities, labels, temperature=1.0) | {"texts": float(len(examples))}
