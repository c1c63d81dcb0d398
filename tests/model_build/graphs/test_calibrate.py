"""What int8 gains from training texts: equalized channels and rounding with feedback."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_build.graphs.calibrate import Inputs, equalizing_factors, observe, product_inputs, round_with_feedback
from model_build.graphs.export import to_onnx
from model_build.graphs.quantize import WEIGHT_MAX, column_scales
from model_build.training.networks import EncoderClassifier
from tests.model_build.conftest import random_rows

Rows = npt.NDArray[np.float64]


def correlated(seed: int, rows: int = 400, width: int = 48, rank: int = 6) -> Rows:
    """Inputs as encoders have them: a few directions carry most of what there is."""
    numbers = np.random.default_rng(seed)
    return numbers.normal(size=(rows, rank)) @ numbers.normal(size=(rank, width)) + 0.05 * numbers.normal(
        size=(rows, width)
    )


def weights(seed: int, shape: tuple[int, int] = (48, 20)) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@given(st.integers(0, 2**32 - 1), st.sampled_from([7, 63, 127]))
def test_feedback_makes_the_product_better_than_plain_rounding(seed: int, peak: int) -> None:
    x, weight = correlated(seed), weights(seed)
    scales = column_scales(weight, peak)
    plain = np.clip(np.rint(weight / scales), -peak, peak)
    fed = round_with_feedback(weight, scales, peak, x.T @ x)
    plain_error, fed_error = (np.linalg.norm(x @ (rounded * scales - weight)) for rounded in (plain, fed))
    assert fed_error < plain_error


@given(st.integers(0, 2**32 - 1))
def test_integers_stay_inside_the_peak(seed: int) -> None:
    x, weight = correlated(seed, width=80), weights(seed, (80, 5))  # more rows than one block of feedback
    rounded = round_with_feedback(weight, column_scales(weight, WEIGHT_MAX), WEIGHT_MAX, x.T @ x)
    assert rounded.dtype == np.int8
    assert np.abs(rounded.astype(int)).max() <= WEIGHT_MAX


def one_row_at_a_time(weight: npt.NDArray[np.float32], scales: npt.NDArray[np.float32], gram: Rows) -> Rows:
    """The same rule without blocks: largest inputs first, each error made up for by all the rows to come."""
    order = np.argsort(-np.diag(gram))
    ordered = gram[np.ix_(order, order)]
    inverse = np.linalg.inv(ordered + 0.01 * np.diag(ordered).mean() * np.eye(len(gram)))
    rest, rounded = weight[order].astype(np.float64), np.empty(weight.shape)
    while len(rest):
        nearest = np.clip(np.rint(rest[0] / scales), -WEIGHT_MAX, WEIGHT_MAX)
        rounded[order[len(order) - len(rest)]] = nearest
        rest = rest[1:] - np.outer(inverse[1:, 0], (rest[0] - nearest * scales) / inverse[0, 0])
        inverse = inverse[1:, 1:] - np.outer(inverse[1:, 0], inverse[0, 1:]) / inverse[0, 0]
    return rounded


@pytest.mark.parametrize("width", [1, 64, 65, 150])
def test_blocks_change_the_speed_and_not_the_result(width: int) -> None:
    x, weight = correlated(7, width=width), weights(7, (width, 5))
    scales, gram = column_scales(weight, WEIGHT_MAX), x.T @ x
    rounded = round_with_feedback(weight, scales, WEIGHT_MAX, gram)
    assert (rounded == one_row_at_a_time(weight, scales, gram)).mean() > 0.99  # a tie may fall either way


@given(st.integers(0, 2**32 - 1))
def test_without_correlation_it_is_plain_rounding(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    weight, gram = weights(seed, (70, 6)), np.diag(numbers.uniform(0.1, 9, 70))
    scales = column_scales(weight, WEIGHT_MAX)
    rounded = round_with_feedback(weight, scales, WEIGHT_MAX, gram)
    assert np.array_equal(rounded, np.rint(weight.astype(np.float64) / scales))


def test_a_channel_that_never_fires_and_a_column_of_zeros_are_survived() -> None:
    x, weight = correlated(1), weights(1)
    x[:, 3] = 0
    weight[:, 2] = 0
    rounded = round_with_feedback(weight, column_scales(weight, WEIGHT_MAX), WEIGHT_MAX, x.T @ x)
    assert not rounded[:, 2].any()


def test_no_observed_rows_at_all_are_survived() -> None:
    weight = weights(2)
    rounded = round_with_feedback(weight, column_scales(weight, WEIGHT_MAX), WEIGHT_MAX, np.zeros((48, 48)))
    assert np.isfinite(rounded).all()


@given(st.integers(0, 2**32 - 1))
def test_equalizing_factors_are_positive_with_mean_one(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    peak = numbers.lognormal(0, 3, 40).astype(np.float32) * (numbers.random(40) > 0.1)
    factors = equalizing_factors(peak.astype(np.float32), weights(seed, (40, 7)))
    assert (factors > 0).all()
    assert np.isclose(np.exp(np.log(factors).mean()), 1, atol=1e-4)


def test_a_channel_that_is_larger_than_the_others_is_divided_by_more() -> None:
    peak = np.ones(8, np.float32)
    peak[5] = 100
    factors = equalizing_factors(peak, np.ones((8, 3), np.float32))
    assert factors.argmax() == 5
    assert np.isclose(factors[5] / factors[0], 10)  # the spread is shared: half to the input, half to the weight
    factors = equalizing_factors(peak, np.ones((8, 3), np.float32), share=1)
    assert np.isclose(factors[5] / factors[0], 100)


def test_scaled_inputs_are_those_of_the_scaled_rows() -> None:
    x, factors = correlated(3, width=5), np.array([1, 2, 0.5, 4, 3], np.float32)
    scaled = Inputs.of(x).scaled(factors)
    assert np.allclose(scaled.gram, (x / factors).T @ (x / factors))
    assert np.allclose(scaled.peak, np.abs(x / factors).max(0))


def test_joined_and_shifted_inputs_are_those_of_the_joined_and_shifted_rows() -> None:
    x, middle = correlated(4, width=5) + 7, np.array([6, 7, 8, 0, -3], np.float32)
    found = Inputs.of(x[:150]).joined(Inputs.of(x[150:])).without(middle)
    expected = Inputs.of(x - middle)
    assert np.allclose(found.gram, expected.gram)
    assert np.allclose(found.total, expected.total)
    assert np.allclose([found.low, found.high], [expected.low, expected.high])
    assert found.count == len(x)


def test_the_middle_leaves_each_channel_as_far_on_both_sides() -> None:
    inputs = Inputs.of(correlated(5, width=5) + 3)
    centred = inputs.without(inputs.middle)
    assert np.allclose(centred.low, -centred.high, atol=1e-5)


@pytest.mark.parametrize("count", [1, 70])
def test_every_product_is_observed_on_all_rows(bert: EncoderClassifier, count: int) -> None:
    model = to_onnx(bert)
    rows = random_rows(0, [5] * count)
    observed = observe(model, [row[None] for row in rows])
    assert list(observed) == product_inputs(model)
    assert len(observed) == 8  # 2 layers of QKV, attention's output, inner and outer
    for inputs in observed.values():
        assert np.allclose(inputs.gram, inputs.gram.T)
        assert (np.diag(inputs.gram) <= inputs.peak.astype(np.float64) ** 2 * 5 * count * (1 + 1e-5)).all()


def test_the_gram_matrix_is_a_sum_over_texts(bert: EncoderClassifier) -> None:
    model = to_onnx(bert)
    rows = [row[None] for row in random_rows(0, [4, 9, 6])]
    whole = observe(model, rows)
    parts = [observe(model, [row]) for row in rows]
    for name, inputs in whole.items():
        assert np.allclose(inputs.gram, sum(part[name].gram for part in parts), rtol=1e-4, atol=1e-4)
        assert np.allclose(inputs.peak, np.max([part[name].peak for part in parts], axis=0), rtol=1e-5)
