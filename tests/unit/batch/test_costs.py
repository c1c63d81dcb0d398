"""What a job costs, and from which size on a GPU is cheaper."""

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.batch import costs
from slipway.prices import read_prices

GPU = {"instance_hour": 0.94, "texts_per_second": 2_000.0, "idle_seconds": 900.0}


def test_examples() -> None:
    assert doctest.testmod(costs).failed == 0


def test_a_job_of_seven_pieces_by_hand() -> None:
    """100 s of 3,538 MB, 10 invocations, 36 transitions, 27 objects; as before prices had a table."""
    functions = 100 * 3538 / 1024 * 0.0000166667 + 10 * 0.20 / 1e6
    assert costs.estimate([(100 / 7, 3538)] * 7) == pytest.approx(functions + 36 * 0.025e-3 + 27 * 0.005e-3, abs=1e-6)


@given(st.floats(0.5, 50), st.floats(100, 20_000), st.floats(0.1, 10), st.floats(0, 4_000))
def test_at_that_size_both_cost_the_same_and_beyond_it_the_gpu_is_cheaper(
    ms: float, speed: float, hour: float, idle: float
) -> None:
    least = costs.least_texts_for_gpu(ms, 3538, instance_hour=hour, texts_per_second=speed, idle_seconds=idle)

    def on_lambda(texts: float) -> float:
        return texts * ms / 1e3 * 3538 / 1024 * read_prices()["lambda_gb_second_x86_64"]

    def on_gpu(texts: float) -> float:
        return (idle + texts / speed) * hour / 3600

    if math.isinf(least):
        assert on_gpu(1e9) >= on_lambda(1e9)
    else:
        assert on_gpu(least) == pytest.approx(on_lambda(least), rel=1e-6, abs=1e-9)
        assert on_gpu(2 * least + 1) <= on_lambda(2 * least + 1) * (1 + 1e-9)


def test_a_faster_gpu_pays_earlier_and_a_slow_one_never() -> None:
    slow, fast = (costs.least_texts_for_gpu(4, 3538, **GPU | {"texts_per_second": speed}) for speed in (2e3, 2e4))
    assert 0 < fast < slow < math.inf
    assert math.isinf(costs.least_texts_for_gpu(4, 3538, **GPU | {"texts_per_second": 1.0}))
