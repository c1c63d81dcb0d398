"""The table of prices: complete, sourced, dated; and what a file of one's own may not be."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.prices import SERVICES, TABLE, Price, PriceError, read_prices

amounts = st.floats(0, 1e6)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], object]], Path]:
    """The table with a change, as a file of one's own."""

    def write(change: Callable[[dict[str, Any]], object]) -> Path:
        content = json.loads(TABLE.read_text())
        change(content)
        path = tmp_path / "own.json"
        path.write_text(json.dumps(content))
        return path

    return write


def test_every_price_is_positive_sourced_and_dated() -> None:
    prices = read_prices()
    for name, price in {**prices.services, **prices.instances}.items():
        assert price.value > 0, name
        assert price.unit, name
        assert price.page, name
        assert price.address, name
        assert date.fromisoformat(price.read) >= date(2026, 11, 26), name


def test_a_price_that_no_page_confirms_says_so_and_every_source_is_used() -> None:
    content = json.loads(TABLE.read_text())
    assert read_prices().unconfirmed() == ["comprehend_custom_unit"]
    region = content["regions"]["us-east-1"]
    used = {entry["source"] for kind in ("services", "instances") for entry in region[kind].values()}
    assert used == set(content["sources"])
    assert set(region["services"]) == set(SERVICES)


def test_an_instance_has_a_price_or_is_refused_with_those_that_have() -> None:
    assert read_prices().instance_hour("ml.g4dn.xlarge") == 0.7364
    with pytest.raises(PriceError, match=r"'ml.p9.huge'.*ml.g5.xlarge"):
        read_prices().instance_hour("ml.p9.huge")


def test_tiers_of_the_rest_api_by_hand() -> None:
    """2,628 million requests, a month at 1,000 a second: 333 at $3.50, 667 at $2.80, 1,628 at $2.38."""
    total = read_prices().services["rest_api_million_requests"].total(2628)
    assert total == pytest.approx(333 * 3.5 + 667 * 2.8 + 1628 * 2.38)


@given(st.lists(st.tuples(st.floats(1, 1e6), st.floats(0, 10)), max_size=4), amounts, amounts)
def test_more_never_costs_less_and_the_first_tier_is_the_price(
    steps: list[tuple[float, float]], few: float, more: float
) -> None:
    bounds = sorted(bound for bound, _ in steps)
    tiers = tuple(zip(bounds, (value for _, value in steps), strict=True))
    price = Price(tiers[0][1] if tiers else 2.0, "unit", "page", "", "2026-11-26", True, tiers=tiers)
    assert price.total(0) == 0
    assert price.total(min(few, more)) <= price.total(max(few, more)) * (1 + 1e-9)
    inside = min(few, bounds[0]) if bounds else few
    assert price.total(inside) == pytest.approx(price.value * inside)


def test_a_file_of_ones_own_counts_with_its_region_and_dates(written: Any) -> None:
    def change(content: dict[str, Any]) -> None:
        region = content["regions"]["eu-central-1"] = content["regions"].pop("us-east-1")
        contract = {"value": 1e-5, "unit": "GB-second", "source": "our contract", "read": "2025-01-01"}
        region["services"]["lambda_gb_second_arm64"] = contract
        region["instances"] = {"ml.g5.xlarge": {"value": 1, "unit": "hour", "source": "s3", "read": "2026-11-26"}}

    prices = read_prices(written(change), "eu-central-1")
    assert prices["lambda_gb_second_arm64"] == 1e-5
    assert prices.services["lambda_gb_second_arm64"].page == "our contract"
    assert prices.services["lambda_gb_second_arm64"].confirmed
    assert prices.instance_hour("ml.g5.xlarge") == 1
    assert prices.read() == "2025-01-01 to 2026-11-26"


def region_of(content: dict[str, Any]) -> dict[str, Any]:
    return content["regions"]["us-east-1"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("regions"), ["regions"]),
        (lambda c: region_of(c).pop("instances"), ["instances"]),
        (lambda c: region_of(c)["services"].pop("logs_gb"), ["logs_gb", "us-east-1"]),
        (lambda c: region_of(c)["services"]["logs_gb"].pop("read"), ["'read'"]),
        (lambda c: region_of(c)["services"]["logs_gb"].update(value=-1), ["logs_gb", "-1"]),
        (lambda c: region_of(c)["services"]["logs_gb"].update(value=float("nan")), ["logs_gb", "nan"]),
        (lambda c: region_of(c)["services"]["logs_gb"].update(value="0.5"), ["logs_gb", "'0.5'"]),
        (lambda c: region_of(c)["services"]["logs_gb"].update(value=True), ["logs_gb", "True"]),
        (lambda c: region_of(c)["services"]["logs_gb"].update(tiers=[[1, -2]]), ["logs_gb", "-2"]),
        (lambda c: region_of(c)["services"]["logs_gb"].update(tiers=[[1]]), ["no table of prices"]),
        (lambda c: region_of(c).update(services=[]), ["own.json"]),
        (lambda c: c.update(regions=None), ["no table of prices"]),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_what_is_wrong(written: Any, change: Any, words: list[str]) -> None:
    with pytest.raises(PriceError) as refused:
        read_prices(written(change))
    assert all(word in str(refused.value) for word in words)


def test_no_file_no_json_and_no_region(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match=r"none.json cannot be read"):
        read_prices(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(PriceError, match="is not JSON"):
        read_prices(tmp_path / "bad.json")
    with pytest.raises(PriceError, match=r"'mars-1'.*us-east-1"):
        read_prices(region="mars-1")
