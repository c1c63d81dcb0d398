"""int8 that keeps the labels: products that disturb the logits most stay in float32 until few enough labels flip.

Layers differ much in what int8 costs them (docs/model-log.md); one or two of twelve in float32 cost little speed. Flips
are counted on the dev split, and expected from the noise: a label flips if its margin is smaller than what quantization
moved it by, which on a few hundred texts is steadier than the count.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from scipy.stats import norm

from model_build.evaluation.answers import margins, movements, same_answers
from model_build.graphs.calibrate import Inputs, observe
from model_build.graphs.export import save
from model_build.graphs.fixed import Fixed
from model_build.graphs.quantize import Integers, product_weights, quantize_rows
from slipway.artifact import Task
from slipway.encoding import TokenIds
from slipway.network import Network
from slipway.probabilities import Logits

_MOST_KEPT = 0.5  # of the products: with more in float32, int8 is no gain
_FASTEST_FIRST: tuple[Fixed, ...] = ("everything", "normalized")
_PROBED_TEXTS = 128  # for the order of the products


@dataclass(frozen=True, kw_only=True)
class Promise:
    """Of ``dev`` texts (token ids) at most the share ``flips`` may get another answer than from float32."""

    dev: Sequence[TokenIds]
    flips: float
    task: Task
    pad_id: int


def quantize_within(
    model: onnx.ModelProto, calibration: Sequence[TokenIds], promise: Promise
) -> tuple[onnx.ModelProto, list[str]]:
    """int8 by rows, and the names of the weights that stay in float32, none if the promise is kept without.

    With as many fixed scales as keep the promise: the more, the faster.
    """
    observed = observe(model, [row[None] for row in calibration])
    reference = _run(model, promise.dev, promise)
    for fixed in _FASTEST_FIRST:
        fast = quantize_rows(model, observed, fixed=fixed)
        if _keeps(_run(fast, promise.dev, promise), reference, promise):
            return fast, []
    integers: Integers = {}
    kept: list[str] = []
    order: list[str] | None = None
    while True:
        found = quantize_rows(model, observed, keep=kept, integers=integers)
        answers = _run(found, promise.dev, promise)
        if _keeps(answers, reference, promise) or len(kept) >= _MOST_KEPT * len(product_weights(model)):
            return found, kept
        order = order or by_disturbance(model, observed, promise, reference, integers)
        kept = order[: len(kept) + 1]


def by_disturbance(
    model: onnx.ModelProto,
    observed: Mapping[str, Inputs],
    promise: Promise,
    reference: Logits,
    integers: Integers,
) -> list[str]:
    """Names of weights, first the one that moves margins most when it alone is int8."""
    probed = promise.dev[:_PROBED_TEXTS]
    weights = product_weights(model)

    def disturbance(weight: str) -> float:
        others = [name for name in weights if name != weight]
        alone = quantize_rows(model, observed, keep=others, integers=integers)
        moved = movements(_run(alone, probed, promise), reference[: len(probed)], promise.task)
        return float(np.sqrt((moved**2).mean()))

    return sorted(weights, key=disturbance, reverse=True)


def expected_flips(logits: Logits, reference: Logits, task: Task) -> float:
    """The share of texts whose answer such noise turns over, if it is normal: the mean of P(noise > margin).

    >>> far = np.array([[9.0, 0.0], [0.0, 9.0]])
    >>> expected_flips(far + 0.1, far, "single-label") < 1e-9
    True
    """
    moved = movements(logits, reference, task)
    spread = max(float(np.sqrt((moved**2).mean())), 1e-12)
    return float(norm.sf(margins(reference, task) / spread).mean())


def _keeps(logits: Logits, reference: Logits, promise: Promise) -> bool:
    flipped = 1 - float(same_answers(logits, reference, promise.task).mean())
    return max(flipped, expected_flips(logits, reference, promise.task)) <= promise.flips


def _run(model: onnx.ModelProto, rows: Sequence[TokenIds], promise: Promise) -> Logits:
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        save(model, path)
        return Network(path, pad_id=promise.pad_id, threads=os.cpu_count() or 1).logits(rows)
