"""Float32 graphs to int8 for CPUs, whichever way the float32 graph was made.

int8 here means: weights in 7 bits a column, activations in 8 bits a row. A row is one token of one text, so nothing
that shares a batch with a text can change its answer; quantizing a whole batch with one scale changes about 2 % of
labels (docs/model-log.md). 7 bits because U8 x S8 products add up in 16 bits on AVX2 and saturate there with 8 bits:
2 x 255 x 63 fits.

A scale of its own costs a row six passes over it. After a normalization rows are so much alike that one scale for all
of them, fixed here, does as well once the middle of each channel is subtracted (Outlier Suppression+, Wei et al. 2023,
arXiv:2304.09145); the product then adds the bias, and what the middles come to, by itself. What attention mixes and
what an activation gives can have one scale and zero for everything too, if the few channels that are far larger than
the others are cut: in BERTs that is one channel of one token, the first (Massive Activations, Sun et al. 2024,
arXiv:2402.17762), and a finer step for all others is worth more (docs/model-log.md).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from model_build.graphs.calibrate import Inputs, Matrix, equalizing_factors, round_with_feedback
from model_build.graphs.encoder import MICROSOFT
from model_build.graphs.fixed import Fixed, FixedScales, GraphView

WEIGHT_MAX = 63
_TABLE_MAX = 127  # a looked-up row meets no product, so it may use all 8 bits
_TABLE_ROWS = 1_000  # smaller lookup tables (positions) stay float: they weigh little
_FLOOR = 1e-9  # a row of zeros must not divide by zero
# What the weights take of the channels' spread. One scale for all rows wants channels of one size: with 0.5 the logits'
# noise is a sixth larger than with 0.8 (docs/model-log.md).
_ROW_SHARE, _FIXED_SHARE = 0.5, 0.8
_UNCUT = 0.995  # of the channels that no normalization made alike: 7 of 1,536 may be cut, of 200 none


@dataclass(frozen=True)
class _Range:
    """How a row meets 8 bits: ``value = (integer - zero) * largest / top``, with ``largest`` at least ``floor``."""

    zero: int
    top: int
    floor: float


_SIGNED = _Range(zero=128, top=127, floor=_FLOOR)
# After GELU or ReLU nothing is below -0.17, the minimum of x * Phi(x): 32 steps under zero hold that.
_ONE_SIDED = _Range(zero=32, top=223, floor=0.17 / 32 * 223)
_ONE_SIDED_OPERATORS = {"Gelu", "FastGelu", "BiasGelu", "Relu"}


# Weights that were rounded already, by name: the slow part, and the same in every graph that has them.
Integers = dict[str, npt.NDArray[np.int8]]


def quantize_rows(
    model: onnx.ModelProto,
    observed: Mapping[str, Inputs],
    *,
    keep: Collection[str] = (),
    integers: Integers | None = None,
    fixed: Fixed = "nothing",
) -> onnx.ModelProto:
    """Rewrite every product with a constant matrix, and every large embedding table, in int8.

    ``x @ W`` becomes ``(round(127 x / max|x|) @ W8) * scales * max|x|``, with the maximum taken over each row of ``x``.
    ``observed`` holds the statistics of ``calibrate.observe``. Products with the weights in ``keep`` stay in float32.
    With ``fixed`` the rows that come from a normalization, or everything that is computed from such rows, have one
    scale, from what was observed, and GELU is that of tanh, which is faster and as near to the exact one as 5e-4;
    ``integers`` are for graphs of the same ``fixed``.
    """
    rewriter = _Rewriter(model, observed, keep=keep, integers={} if integers is None else integers, fixed=fixed)
    for node in list(model.graph.node):
        rewriter.rewrite(node)
    return rewriter.finish()


def quantize_tables(model: onnx.ModelProto) -> onnx.ModelProto:
    """Only the large embedding tables in int8, a scale a row; every product stays as it is."""
    rewriter = _Rewriter(model, {}, keep=product_weights(model), integers={}, fixed="nothing")
    for node in list(model.graph.node):
        rewriter.rewrite(node)
    return rewriter.finish()


def product_weights(model: onnx.ModelProto) -> list[str]:
    """Names of the constant matrices that something is multiplied with, in the order of the graph."""
    given = GraphView(model)
    return [node.input[1] for node in model.graph.node if given.is_product(node)]


def column_scales(weight: Matrix, peak: int) -> Matrix:
    """The scale of each column of (in, out) weights, so that its largest magnitude becomes ``peak``.

    >>> column_scales(np.array([[63.0, 12.6], [-31.5, 6.3]], np.float32), 63).round(3).tolist()
    [1.0, 0.2]
    """
    scales: Matrix = np.maximum(np.abs(weight).max(axis=0) / peak, _FLOOR).astype(np.float32)
    return scales


class _Rewriter:
    def __init__(
        self,
        model: onnx.ModelProto,
        observed: Mapping[str, Inputs],
        *,
        keep: Collection[str],
        integers: Integers,
        fixed: Fixed,
    ) -> None:
        self._model = model
        self._given = GraphView(model)
        self._scales = FixedScales(self._given, keep, fixed)
        self._integers = integers
        self._observed = observed
        self._nodes: list[onnx.NodeProto] = []
        self._added: dict[str, onnx.TensorProto] = {}
        self._rows: dict[str, tuple[str, str]] = {}
        self._fixed = fixed
        self._factors = self._equalize() if observed else {}
        self._added_up = {total for _, total in self._scales.sums.values()}
        self._missing = {total: x for x, total in self._scales.centred.items()}

    def rewrite(self, node: onnx.NodeProto) -> None:
        if node.output[0] in self._added_up:
            return
        if self._scales.is_integer_product(node):
            self._product(node.input[0], node.input[1], node.output[0])
        elif self._given.is_lookup(node, rows=_TABLE_ROWS):
            self._lookup(node.input[0], node.input[1], node.output[0])
        elif node.output[0] in self._scales.centred:
            self._centre(node)
        elif node.op_type == "Gelu" and self._fixed == "everything":
            self._add("FastGelu", list(node.input), node.output[0], domain=MICROSOFT)
        else:
            self._nodes.append(node)

    def finish(self) -> onnx.ModelProto:
        used = {name for node in self._nodes for name in node.input}
        constants = [*self._given.constants.values(), *self._added.values()]
        kept = [tensor for tensor in constants if tensor.name in used]
        old = self._model.graph
        graph = helper.make_graph(self._nodes, old.name, old.input, old.output, kept)
        opsets = {opset.domain: opset.version for opset in self._model.opset_import} | {MICROSOFT: 1}
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(domain, version) for domain, version in opsets.items()],
            ir_version=self._model.ir_version,
            producer_name="slipway",
        )

    def _equalize(self) -> dict[str, Matrix]:
        """Factors by input name: only after a normalization, whose few large channels cost the others their bits."""
        weights: dict[str, list[Matrix]] = {}
        for node in self._model.graph.node:
            if self._given.is_product(node):
                weights.setdefault(node.input[0], []).append(self._given.array(node.input[1]))
        return {
            x: equalizing_factors(
                self._inputs(x).peak,
                np.concatenate(matrices, axis=1),
                _ROW_SHARE if self._fixed == "nothing" else _FIXED_SHARE,
            )
            for x, matrices in weights.items()
            if self._given.is_normalized(x)
        }

    def _inputs(self, x: str) -> Inputs:
        """Of the rows as they are quantized, but for the factors."""
        seen = self._observed[x]
        return seen.without(seen.middle) if self._scales.is_centred_by_channel(x) else seen

    def _centre(self, norm: onnx.NodeProto) -> None:
        x = norm.output[0]
        centred = onnx.NodeProto()
        centred.CopyFrom(norm)
        bias = self._given.array(norm.input[2]) - self._observed[x].middle
        centred.input[2] = self._constant(f"{x}.centred.bias", bias)  # by its own name: layers may share the weights
        self._nodes.append(centred)

    def _product(self, x: str, weight: str, out: str) -> None:
        matrix, inputs = self._given.array(weight), self._inputs(x)
        if (factors := self._factors.get(x)) is not None:
            matrix, inputs = matrix * factors[:, None], inputs.scaled(factors)
        scales = column_scales(matrix, WEIGHT_MAX)
        name = self._name(x, weight)
        if name not in self._integers:
            self._integers[name] = round_with_feedback(matrix, scales, WEIGHT_MAX, inputs.gram)
        integers = self._constant(f"{name}.int8", self._integers[name])
        columns = self._constant(f"{name}.scales", scales)
        zeros = self._constant(f"{name}.zeros", np.zeros(len(scales), np.int8))
        if self._scales.is_fixed(x):
            at_once = self._quantized_at_once if self._given.is_normalized(x) else self._quantized_as_it_is
            rounded, step, zero = at_once(x)
            bias, total = self._bias(x, weight, out)
            product = [rounded, integers, step, columns, zero, zeros, bias]
            self._add("MatMulIntegerToFloat", product, total, domain=MICROSOFT)
        else:
            rounded, largest = self._quantized_rows(x)
            scale, zero = self._range(self._range_of(x))
            product = [rounded, integers, scale, columns, zero, zeros]
            self._add("MatMulIntegerToFloat", product, f"{out}.scaled", domain=MICROSOFT)
            self._add("Mul", [f"{out}.scaled", largest], out)

    def _bias(self, x: str, weight: str, out: str) -> tuple[str, str]:
        """What the product adds, and the name of the sum: the bias if one follows, the middles' own product, and the
        middle that a normalization has subtracted from what else is added.
        """
        bias, total = self._scales.sums.get(out, ("", out))
        value = np.zeros(self._given.array(weight).shape[1])
        if self._given.is_normalized(x):
            # No BLAS: its sums depend on the number of threads, and a build is to give the same bytes again.
            value += (self._observed[x].middle[:, None] * self._given.array(weight)).sum(axis=0, dtype=np.float64)
        if bias:
            value += self._given.array(bias)
        if (residual := self._missing.get(total)) is not None:
            value += self._observed[residual].middle
        return self._constant(f"{out}.bias", value.astype(np.float32)), total

    def _name(self, x: str, weight: str) -> str:
        """Of the integers: layers that share a matrix, as ALBERT's do, have others each, for their own inputs."""
        shared = {node.input[0] for node in self._given.readers(weight) if self._given.is_product(node)} != {x}
        return f"{weight}.{x}" if shared else weight

    def _quantized_at_once(self, x: str) -> tuple[str, str, str]:
        """Names of ``x`` in uint8, of its step, and of its zero. What is larger than what was observed is cut."""
        zero = self._range(_SIGNED)[1]
        factors, inputs = self._factors[x], self._inputs(x)
        step = max(float(inputs.scaled(factors).peak.max()) / _SIGNED.top, _FLOOR)
        if x not in self._rows:
            steps = (factors * step).astype(np.float32)
            centred = self._add("Mul", [x, self._constant(f"{x}.equalizer", 1 / steps)], f"{x}.steps")
            if x not in self._scales.centred:
                middle = self._constant(f"{x}.middle", self._observed[x].middle / steps)
                centred = self._add("Sub", [centred, middle], f"{x}.centred")
            one = self._constant("int8.one", np.float32(1))
            self._rows[x] = self._add("QuantizeLinear", [centred, one, zero], f"{x}.uint8"), ""
        return self._rows[x][0], self._constant(f"{x}.step", np.float32(step)), zero

    def _quantized_as_it_is(self, x: str) -> tuple[str, str, str]:
        """As ``_quantized_at_once``, with one zero for all channels and no factors; 0 stays exactly 0."""
        observed = self._observed[x]
        low = min(float(np.quantile(observed.low, 1 - _UNCUT, method="lower")), 0.0)
        high = max(float(np.quantile(observed.high, _UNCUT, method="higher")), 0.0)
        step = max((high - low) / 255, _FLOOR)
        zero = self._constant(f"{x}.zero", np.uint8(np.rint(-low / step)))
        step_name = self._constant(f"{x}.step", np.float32(step))
        if x not in self._rows:
            self._rows[x] = self._add("QuantizeLinear", [x, step_name, zero], f"{x}.uint8"), ""
        return self._rows[x][0], step_name, zero

    def _quantized_rows(self, x: str) -> tuple[str, str]:
        """Names of ``x`` in uint8 and of its largest magnitude a row; one computation for all products of ``x``."""
        if x not in self._rows:
            kind = self._range_of(x)
            scale, zero = self._range(kind)
            source = self._equalized(x)
            magnitude = source if kind is _ONE_SIDED else self._add("Abs", [source], f"{x}.abs")
            axis = self._constant("int8.axis_last", np.array([-1], np.int64))
            peak = self._add("ReduceMax", [magnitude, axis], f"{x}.peak", keepdims=1)
            floor = self._constant(f"int8.floor_{kind.top}", np.float32(kind.floor))
            largest = self._add("Max", [peak, floor], f"{x}.largest")
            inverse = self._add("Reciprocal", [largest], f"{x}.inverse")  # products are cheaper than quotients
            unit = self._add("Mul", [source, inverse], f"{x}.unit")
            self._rows[x] = self._add("QuantizeLinear", [unit, scale, zero], f"{x}.uint8"), largest
        return self._rows[x]

    def _equalized(self, x: str) -> str:
        if (factors := self._factors.get(x)) is None:
            return x
        return self._add("Mul", [x, self._constant(f"{x}.equalizer", 1 / factors)], f"{x}.equalized")

    def _range_of(self, x: str) -> _Range:
        return _ONE_SIDED if self._given.producer(x) in _ONE_SIDED_OPERATORS else _SIGNED

    def _range(self, kind: _Range) -> tuple[str, str]:
        scale = self._constant(f"int8.scale_{kind.top}", np.float32(1 / kind.top))
        return scale, self._constant(f"int8.zero_{kind.zero}", np.uint8(kind.zero))

    def _lookup(self, table: str, ids: str, out: str) -> None:
        matrix = self._given.array(table)
        scales = column_scales(matrix.T, _TABLE_MAX)[:, None]
        integers = self._constant(f"{table}.int8", np.rint(matrix / scales).astype(np.int8))
        rows = self._add("Gather", [integers, ids], f"{out}.int8")
        scale = self._add("Gather", [self._constant(f"{table}.scales", scales), ids], f"{out}.scale")
        self._add("Mul", [self._add("Cast", [rows], f"{out}.float", to=TensorProto.FLOAT), scale], out)

    def _constant(self, name: str, value: npt.ArrayLike) -> str:
        if name not in self._added:
            self._added[name] = numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        return name

    def _add(self, op: str, inputs: list[str], output: str, *, domain: str = "", **attributes: Any) -> str:
        self._nodes.append(helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes))
        return output
