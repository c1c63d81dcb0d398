"""An artifact against labelled text, as ``slipway evaluate`` asks for it."""

import tempfile
from pathlib import Path
from typing import get_args

import numpy as np

from model_build.config import BuildConfig
from model_build.data.labelled import read_labelled
from model_build.evaluation.metrics import summary
from slipway.artifact import Variant
from slipway.errors import BuildError
from slipway.loading import load_predictor


def score_artifact(directory: Path, config: BuildConfig, *, split: str, variant: str | None) -> dict[str, float]:
    """Metrics of one variant (by default the one that serves) on ``split``, or ``all``, of the data in ``config``.

    Raises BuildError if the data has labels or a task that the artifact does not know.
    """
    if variant is not None and variant not in get_args(Variant):
        raise BuildError(f"There is no variant {variant!r}.", remedy="See slipway evaluate --help.")
    predictor = load_predictor(directory, variant)  # type: ignore[arg-type]
    manifest = predictor.manifest
    if manifest.task != config.data.task:
        raise BuildError(f"The artifact is {manifest.task}, the data {config.data.task}.", remedy="Check data.task.")
    with tempfile.TemporaryDirectory() as scratch:
        data = read_labelled(config, split, manifest.labels, Path(scratch))
    probabilities = np.array([answer.probabilities for answer in predictor.predict(data.texts)])
    return summary(probabilities, data.targets, manifest.task) | {"texts": float(len(data.texts))}
