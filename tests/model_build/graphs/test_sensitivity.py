"""Products stay in float32 until the promise is kept, the most disturbing first, and none without need."""

from typing import Any

import numpy as np
import onnx
import pytest

from model_build.graphs.export import to_onnx
from model_build.graphs.quantize import product_weights
from model_build.graphs.sensitivity import Promise, expected_flips, quantize_within
from model_build.training.networks import EncoderClassifier
from tests.model_build.conftest import PAD, random_rows

DEV = random_rows(8, [*range(3, 35)] * 2)
CALIBRATION = random_rows(1, [*range(3, 35)])


def promise(flips: float) -> Promise:
    return Promise(dev=DEV, flips=flips, task="single-label", pad_id=PAD)


def integer_products(model: onnx.ModelProto) -> int:
    return [node.op_type for node in model.graph.node].count("MatMulIntegerToFloat")


def test_a_promise_that_is_kept_anyway_leaves_nothing_in_float32(bert: EncoderClassifier) -> None:
    model = to_onnx(bert)
    found, kept = quantize_within(model, CALIBRATION, promise(1.0))
    assert kept == []
    assert integer_products(found) == len(product_weights(model)) == 8


def test_scales_are_fixed_where_that_keeps_the_promise(bert: EncoderClassifier) -> None:
    fixed, rows = (quantize_within(to_onnx(bert), CALIBRATION, promise(flips))[0] for flips in (1.0, 0.0))
    maxima = [[node.op_type for node in model.graph.node].count("ReduceMax") for model in (fixed, rows)]
    assert maxima == [0, 4]


def test_no_more_scales_are_fixed_than_keep_the_promise(
    bert: EncoderClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two: only the first, with everything fixed, is found to flip too many."""
    verdicts = iter([False, True])
    monkeypatch.setattr("model_build.graphs.sensitivity._keeps", lambda *_: next(verdicts))
    found, kept = quantize_within(to_onnx(bert), CALIBRATION, promise(0.5))
    assert kept == []
    assert [node.op_type for node in found.graph.node].count("ReduceMax") == 4


def test_one_that_cannot_be_kept_leaves_at_most_half(bert: EncoderClassifier) -> None:
    found, kept = quantize_within(to_onnx(bert), CALIBRATION, promise(0.0))
    assert len(kept) == 4
    assert integer_products(found) == 4


def test_the_most_disturbing_product_stays_in_float32_first(bert: EncoderClassifier) -> None:
    """One column of a matrix a hundred times the others takes all the steps of each row that meets it."""
    model = to_onnx(bert)
    name = product_weights(model)[3]
    for tensor in model.graph.initializer:
        if tensor.name == name:
            weight: Any = onnx.numpy_helper.to_array(tensor).copy()
            weight[:, 0] *= 60
            weight[5] *= 60
            tensor.CopyFrom(onnx.numpy_helper.from_array(weight, name))
    _, kept = quantize_within(model, CALIBRATION, promise(0.0))
    assert name in kept


def test_expected_flips_are_those_of_noise_against_margins() -> None:
    numbers = np.random.default_rng(0)
    reference = numbers.normal(size=(4_000, 2))
    noise = numbers.normal(size=(4_000, 2)) * 0.2
    flipped = ((reference + noise).argmax(1) != reference.argmax(1)).mean()
    assert expected_flips(reference + noise, reference, "single-label") == pytest.approx(flipped, rel=0.15)
