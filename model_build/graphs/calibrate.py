"""What the matrices of a float32 graph are multiplied with, observed on training texts, and what int8 gains from it.

Two well-known corrections, both free or nearly free when serving. Equalization (SmoothQuant, Xiao et al. 2023,
arXiv:2211.10438): a channel that is much larger than the others is scaled down before it is quantized, and its weights
up. Rounding with feedback (GPTQ, Frantar et al. 2023, arXiv:2210.17323): the error of rounding one weight is made up
for by those not rounded yet. What they gain is in docs/model-log.md.
"""

import itertools
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from model_build.graphs.export import save
from slipway.network import open_session

Matrix = npt.NDArray[np.float32]

_DAMPING = 0.01  # of the mean diagonal, as in the GPTQ paper: keeps the Gram matrix invertible
_GROUP = 32  # texts whose rows are added to a Gram matrix at once: large products are fast, their inputs take memory
_BLOCK = 64  # rows whose feedback is applied to the rest at once; changes speed, not the result


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Of the ``count`` rows that meet a matrix: ``gram`` is the sum of their outer products, ``total`` their sum,
    ``low`` and ``high`` bound each channel.
    """

    gram: npt.NDArray[np.float64]
    total: npt.NDArray[np.float64]
    low: Matrix
    high: Matrix
    count: int

    @classmethod
    def of(cls, rows: Matrix) -> "Inputs":
        """Of these rows (rows, channels), at least one."""
        gram, total = (rows.T @ rows).astype(np.float64), rows.sum(axis=0, dtype=np.float64)
        return cls(gram=gram, total=total, low=rows.min(axis=0), high=rows.max(axis=0), count=len(rows))

    @property
    def peak(self) -> Matrix:
        """The largest magnitude of each channel."""
        peak: Matrix = np.maximum(np.abs(self.low), np.abs(self.high))
        return peak

    @property
    def middle(self) -> Matrix:
        """Of what each channel spans."""
        middle: Matrix = ((self.low + self.high) / 2).astype(np.float32)
        return middle

    def joined(self, other: "Inputs") -> "Inputs":
        """Of both's rows."""
        return Inputs(
            gram=self.gram + other.gram,
            total=self.total + other.total,
            low=np.minimum(self.low, other.low),
            high=np.maximum(self.high, other.high),
            count=self.count + other.count,
        )

    def scaled(self, factors: Matrix) -> "Inputs":
        """Of the same rows, each channel divided by its factor, which is above zero."""
        return Inputs(
            gram=self.gram / np.outer(factors, factors),
            total=self.total / factors,
            low=self.low / factors,
            high=self.high / factors,
            count=self.count,
        )

    def without(self, middle: Matrix) -> "Inputs":
        """Of the same rows with ``middle`` subtracted from each."""
        shift = middle.astype(np.float64)
        crossed = np.outer(self.total, shift)
        return Inputs(
            gram=self.gram - crossed - crossed.T + self.count * np.outer(shift, shift),
            total=self.total - self.count * shift,
            low=self.low - middle,
            high=self.high - middle,
            count=self.count,
        )


def observe(model: onnx.ModelProto, batches: Iterable[npt.NDArray[np.int32]]) -> dict[str, Inputs]:
    """Run ``model`` on batches of token ids without padding, and return statistics of each product's input by name."""
    names = product_inputs(model)
    observed: dict[str, Inputs] = {}
    if not names:
        return observed
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "observed.onnx"
        save(_with_outputs(model, names), path)
        session = open_session(path)
        remaining = iter(batches)
        while group := list(itertools.islice(remaining, _GROUP)):
            runs = zip(*(session.run(names, {"input_ids": batch}) for batch in group), strict=True)
            for name, values in zip(names, runs, strict=True):
                _add(observed, name, np.concatenate([value.reshape(-1, value.shape[-1]) for value in values]))
    return observed


def product_inputs(model: onnx.ModelProto) -> list[str]:
    """Values that are multiplied with a constant matrix."""
    matrices = {t.name for t in model.graph.initializer if len(t.dims) == 2 and t.data_type == TensorProto.FLOAT}
    found = (n.input[0] for n in model.graph.node if n.op_type == "MatMul" and n.input[1] in matrices)
    return list(dict.fromkeys(found))


def equalizing_factors(peak: Matrix, weight: Matrix, share: float = 0.5) -> Matrix:
    """What to divide each channel by, so that activations and weights share the spread between them; mean factor 1.

    ``share`` is what of it the weights take: with 1 all channels of the activations are equally large.
    """
    factors = np.maximum(peak, 1e-5) ** share / np.maximum(np.abs(weight).max(axis=1), 1e-5) ** (1 - share)
    equalizing: Matrix = (factors / np.exp(np.log(factors).mean())).astype(np.float32)
    return equalizing


def round_with_feedback(
    weight: Matrix, scales: Matrix, peak: int, gram: npt.NDArray[np.float64]
) -> npt.NDArray[np.int8]:
    """Integers in ±``peak`` for (in, out) weights, rounded a row at a time, largest inputs first.

    Each row's error is spread over the rows still to come by the Cholesky factor of the inverse Gram matrix, which
    minimizes the error of the product and not that of the weights.
    """
    order = np.argsort(-np.diag(gram))
    upper = _feedback(gram[np.ix_(order, order)])
    rest = weight[order].astype(np.float64)
    rounded = np.empty(weight.shape, np.int8)
    for start in range(0, len(rest), _BLOCK):
        stop = min(start + _BLOCK, len(rest))
        errors = np.empty((stop - start, weight.shape[1]))
        for row in range(start, stop):
            rounded[order[row]] = nearest = np.clip(np.rint(rest[row] / scales), -peak, peak)
            errors[row - start] = (rest[row] - nearest * scales) / upper[row, row]
            rest[row + 1 : stop] -= np.outer(upper[row, row + 1 : stop], errors[row - start])
        rest[stop:] -= upper[start:stop, stop:].T @ errors
    return rounded


def _feedback(gram: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    damping = max(_DAMPING * float(np.diag(gram).mean()), 1e-9)
    inverse = np.linalg.inv(gram + damping * np.eye(len(gram)))
    factor: npt.NDArray[np.float64] = np.linalg.cholesky(inverse).T
    return factor


def _with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    widened = onnx.ModelProto()
    widened.CopyFrom(model)
    widened.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    return widened


def _add(observed: dict[str, Inputs], name: str, rows: Matrix) -> None:
    seen, new = observed.get(name), Inputs.of(rows)
    observed[name] = seen.joined(new) if seen else new
