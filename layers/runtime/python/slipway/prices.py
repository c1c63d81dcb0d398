"""What AWS asks for: the one table of prices, each with its unit, where it was read and when.

``prices.json`` beside this module holds list prices in US dollars, the first tier of each and without a free tier.
Whoever pays other prices, or in another region, has a file of the same form.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from slipway.errors import SlipwayError

REGION = "us-east-1"
TABLE = Path(__file__).with_name("prices.json")
SERVICES = (
    *("lambda_gb_second_x86_64", "lambda_gb_second_arm64", "lambda_million_requests", "rest_api_million_requests"),
    *("logs_gb", "workflow_thousand_transitions", "s3_thousand_puts", "s3_thousand_gets", "events_million"),
    *("serverless_gb_second", "endpoint_data_gb"),
    *("comprehend_sentiment_unit", "comprehend_custom_unit", "comprehend_endpoint_second"),
)


class PriceError(SlipwayError):
    """Something has no usable price, or cannot be reckoned with one."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars a ``unit``, as ``page`` had it on the date ``read``; ``confirmed`` is false where no page did."""

    value: float
    unit: str
    page: str
    address: str
    read: str
    confirmed: bool
    gpu: str = ""  # the card in an instance
    note: str = ""
    tiers: tuple[tuple[float, float], ...] = ()  # (up to so many units a month, value), where the price falls

    def total(self, units: float) -> float:
        """US dollars for ``units`` in a month, each tier at its own price.

        >>> Price(3.5, "million", "", "", "", True, tiers=((333, 3.5), (1000, 2.8))).total(433)
        1445.5
        """
        spent, before = 0.0, 0.0
        for bound, value in self.tiers:
            spent += value * max(0.0, min(units, bound) - before)
            before = bound
        beyond = self.tiers[-1][1] if self.tiers else self.value
        return spent + beyond * max(0.0, units - before)


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of one region: ``services`` by the names in ``SERVICES``, ``instances`` of SageMaker by the hour."""

    region: str
    services: Mapping[str, Price]
    instances: Mapping[str, Price]

    def __getitem__(self, service: str) -> float:
        return self.services[service].value

    def instance_hour(self, name: str) -> float:
        """An hour of a SageMaker instance. Raises PriceError if the table does not have it."""
        if name not in self.instances:
            known = ", ".join(self.instances)
            raise PriceError(f"{name!r} has no price in {self.region}.", remedy=f"There are {known}; or add it.")
        return self.instances[name].value

    def read(self) -> str:
        """The dates on which the prices were read, the oldest and the newest."""
        dates = sorted({price.read for price in (*self.services.values(), *self.instances.values())})
        return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"

    def unconfirmed(self) -> list[str]:
        """Names of prices that no page confirms."""
        named = {**self.services, **self.instances}
        return [name for name, price in named.items() if not price.confirmed]


@cache
def read_prices(path: Path = TABLE, region: str = REGION) -> Prices:
    """The table of ``region``. Raises PriceError naming what the file lacks or has that is no price."""
    content = _read(path)
    try:
        regions, sources = content["regions"], content.get("sources", {})
        if region not in regions:
            raise PriceError(
                f"{path.name} has no prices for the region {region!r}.",
                remedy=f"It has {', '.join(regions)}. Give a file with others by --prices.",
            )
        services, instances = regions[region]["services"], regions[region]["instances"]
        if missing := [name for name in SERVICES if name not in services]:
            raise PriceError(f"{path.name} lacks {', '.join(missing)} for {region}.")
        return Prices(
            region,
            {name: _price(name, services[name], sources, path) for name in SERVICES},
            {name: _price(name, entry, sources, path) for name, entry in instances.items()},
        )
    except KeyError as error:
        raise PriceError(f"{path.name} lacks the key {error}.", remedy=f"Its form is that of {TABLE.name}.") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise PriceError(f"{path.name} is no table of prices.", remedy=f"Its form is that of {TABLE.name}.") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise PriceError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise PriceError(f"{path} is not JSON: {error}.") from error
    return content


def _price(name: str, entry: Mapping[str, Any], sources: Mapping[str, Mapping[str, str]], path: Path) -> Price:
    """A source that is no key of ``sources`` is the name of a page, or of a contract."""
    source, tiers = entry["source"], entry.get("tiers", [])
    for value in (entry["value"], *(number for tier in tiers for number in tier)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
            raise PriceError(f"{name} is {value!r} in {path.name}: a price is a number of US dollars.")
    return Price(
        value=float(entry["value"]),
        unit=entry["unit"],
        page=sources.get(source, {}).get("page", source),
        address=sources.get(source, {}).get("address", ""),
        read=entry["read"],
        confirmed=entry.get("confirmed", True),
        gpu=entry.get("gpu", ""),
        note=entry.get("note", ""),
        tiers=tuple((bound, value) for bound, value in tiers),
    )
