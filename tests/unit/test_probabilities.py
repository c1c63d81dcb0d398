"""Softmax and sigmoid, without overflow."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from slipway.probabilities import calibrate, softmax


@given(st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_softmax_sums_to_one_keeps_the_order_and_ignores_a_shift(rows: list[list[float]]) -> None:
    logits = np.array(rows)
    probabilities = softmax(logits)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=-1), 1, atol=1e-6)
    assert np.allclose(softmax(logits + 5.0), probabilities, atol=1e-6)
    assert np.array_equal(probabilities.max(axis=-1), probabilities[np.arange(len(rows)), logits.argmax(axis=-1)])


@given(
    labels=st.integers(2, 12),
    temperature=st.floats(0.05, 20),
    seed=st.integers(0, 10_000),
)
def test_few_labels_are_calibrated_as_many_are(labels: int, temperature: float, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(scale=20, size=(3, labels)).astype(np.float32)
    found = calibrate(logits, temperature, "single-label")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, softmax(logits.astype(np.float64) / temperature), rtol=1e-6, atol=1e-37)
    assert (found == np.concatenate([calibrate(row[None], temperature, "single-label") for row in logits])).all()


def test_huge_logits_are_certain() -> None:
    huge = np.array([[3e38, -3e38]], np.float32)
    assert softmax(huge).tolist() == [[1.0, 0.0]]
    assert calibrate(huge, 0.05, "single-label").tolist() == [[1.0, 0.0]]
    assert calibrate(huge, 0.05, "multi-label").tolist() == [[1.0, 0.0]]
