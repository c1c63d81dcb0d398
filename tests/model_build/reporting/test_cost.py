"""What a month costs, worked out by hand."""

import pytest

from model_build.reporting.cost import GB_SECOND, MEMORY_MB, REQUEST_SIZES, VOLUMES, cost_table, dollars, monthly_cost


def test_a_million_requests_of_one_text() -> None:
    """2 ms of 1 GB a request: 2,000 GB-s, a million invocations, a million calls of the REST API."""
    cost = monthly_cost(2.0, 1024, 1_000_000)
    assert cost.compute == pytest.approx(2_000 * 0.0000166667)
    assert cost.invocations == pytest.approx(0.20)
    assert cost.gateway == pytest.approx(3.50)
    assert cost.total == pytest.approx(3.733333, abs=1e-5)


def test_a_request_is_billed_by_whole_milliseconds() -> None:
    assert monthly_cost(0.2, 1024, 1_000).compute == monthly_cost(1.0, 1024, 1_000).compute
    assert monthly_cost(1.01, 1024, 1_000).compute == monthly_cost(2.0, 1024, 1_000).compute
    assert monthly_cost(0.29, 1024, 100, texts_per_request=100).compute == monthly_cost(29, 1024, 1).compute


def test_many_texts_in_a_request_save_calls() -> None:
    alone, packed = (monthly_cost(1.0, 1024, 1_000_000, texts_per_request=size) for size in (1, 100))
    assert packed.compute == pytest.approx(alone.compute)
    assert packed.gateway == pytest.approx(alone.gateway / 100)


def test_a_request_that_is_not_full_is_paid_for() -> None:
    assert monthly_cost(1.0, 1024, 101, texts_per_request=100).gateway == pytest.approx(2 * 3.5e-6)


def test_arm64_is_cheaper_at_the_same_time() -> None:
    x86, arm = (monthly_cost(5.0, MEMORY_MB, 10**6, cpu=cpu).compute for cpu in ("x86_64", "arm64"))
    assert arm / x86 == pytest.approx(GB_SECOND["arm64"] / GB_SECOND["x86_64"])


def test_the_table_has_every_volume_in_every_size() -> None:
    table = cost_table(0.9, 0.5)
    assert [(c.texts, c.texts_per_request) for c in table] == [(v, s) for v in VOLUMES for s in REQUEST_SIZES]
    assert table[0].compute == monthly_cost(0.9, MEMORY_MB, VOLUMES[0]).compute
    assert table[1].compute == monthly_cost(0.5, MEMORY_MB, VOLUMES[0], texts_per_request=100).compute


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0.00"), (0.004, "under $0.01"), (3.7219, "$3.72"), (999.99, "$999.99"), (12_345.6, "$12,346")],
)
def test_amounts_read_as_amounts(amount: float, text: str) -> None:
    assert dollars(amount) == text
