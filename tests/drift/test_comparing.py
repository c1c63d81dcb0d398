"""A month of the usual raises nothing, whatever the traffic; another stream does at once; and the numbers are right."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from slipway.drift.bins import STATISTICS, Counts
from slipway.drift.comparing import FEWEST, HOURS, PSI, chance, compare, stability_index, survival
from tests.drift.conftest import USUAL, drawn

COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=40)


@pytest.mark.parametrize("texts", [100, 300, 1_000, 100_000])
def test_a_month_of_hours_like_the_baseline_raises_no_alarm(baseline: Counts, texts: int) -> None:
    month = [compare(baseline, drawn(texts, seed)) for seed in range(1, HOURS + 1)]
    assert all(len(changes) == len(STATISTICS) for changes in month)
    assert not [change for changes in month for change in changes if change.drifted]


def test_either_bound_alone_would_wake_somebody_for_nothing(baseline: Counts) -> None:
    """Small windows have a large index by chance, and huge ones a tiny one that is none of chance."""
    small = [change for seed in range(300) for change in compare(baseline, drawn(FEWEST, seed))]
    assert any(change.psi >= PSI for change in small)
    many = {name: [1_000_000 * share for share in USUAL[name]] for name in STATISTICS}
    many["labels"] = [430_000, 110_000, 460_000]
    huge = {change.statistic: change for change in compare({n: [100 * c for c in baseline[n]] for n in baseline}, many)}  # type: ignore[arg-type]
    assert huge["labels"].p < 1e-6
    assert not huge["labels"].drifted


@pytest.mark.parametrize(
    ("statistic", "shares"),
    [
        ("labels", [0.9, 0.05, 0.05]),
        ("confidence", [0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.04, 0.03, 0.02, 0.01]),
        ("tokens", [0, 0, 0.02, 0.03, 0.05, 0.1, 0.1, 0.1, 0.2, 0.4]),
        ("unknown", [0.05, 0.1, 0.2, 0.3, 0.35]),
    ],
)
def test_another_stream_is_noticed_in_its_first_window(baseline: Counts, statistic: str, shares: list[float]) -> None:
    for seed in range(100):
        changes = compare(baseline, drawn(300, seed, **{statistic: shares}))
        assert [change.statistic for change in changes if change.drifted] == [statistic]


def test_too_few_texts_say_nothing(baseline: Counts) -> None:
    assert compare(baseline, drawn(FEWEST - 1, 1, unknown=[0, 0, 0, 0, 1])) == []
    assert compare(baseline, drawn(FEWEST, 1, unknown=[0, 0, 0, 0, 1])) != []


def test_the_index_of_chance_alone_is_what_yurdakul_and_naranjo_derived() -> None:
    shares, n, m = [0.1] * 10, 2_000, 1_000
    chooser = np.random.default_rng(5)
    pairs = zip(chooser.multinomial(n, shares, 2_000), chooser.multinomial(m, shares, 2_000), strict=True)
    mean = np.mean([stability_index(a.tolist(), b.tolist()) for a, b in pairs])
    assert mean == pytest.approx(9 * (1 / n + 1 / m), rel=0.05)


@given(a=COUNTS, b=COUNTS)
def test_the_index_is_finite_symmetric_and_zero_only_of_the_same(a: list[int], b: list[int]) -> None:
    size = min(len(a), len(b))
    a, b = a[:size], b[:size]
    index = stability_index(a, b)
    assert math.isfinite(index)
    assert index >= 0
    assert index == pytest.approx(stability_index(b, a))
    assert stability_index(a, a) == 0


@given(chi2=st.floats(0, 2_000), degrees=st.integers(1, 300))
def test_chi_square_is_scipys(chi2: float, degrees: int) -> None:
    assert survival(chi2, degrees) == pytest.approx(stats.chi2.sf(chi2, degrees), rel=1e-9, abs=1e-300)


@given(counts=st.lists(st.tuples(st.integers(30, 5_000), st.integers(30, 5_000)), min_size=2, max_size=12))
def test_where_no_bin_is_rare_the_test_is_pearsons_of_scipy(counts: list[tuple[int, int]]) -> None:
    a, b = ([*side] for side in zip(*counts, strict=True))
    table = stats.chi2_contingency([a, b], correction=False)
    if table.expected_freq.min() >= 5:
        assert chance(a, b) == pytest.approx(table.pvalue, rel=1e-6, abs=1e-300)


@given(a=COUNTS, b=COUNTS)
def test_a_probability_is_one_whatever_is_counted(a: list[int], b: list[int]) -> None:
    size = min(len(a), len(b))
    if sum(a[:size]) and sum(b[:size]):
        assert 0 <= chance(a[:size], b[:size]) <= 1


def test_rare_labels_are_put_together_before_they_are_tested() -> None:
    """A label seen once among hundreds is no landslide."""
    assert chance([800, 50, 1, 0, 1, 0], [800, 52, 0, 2, 0, 1]) > 0.5
