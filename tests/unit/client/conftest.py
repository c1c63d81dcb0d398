"""A server that does as it is told, a client of it, and time that passes only when somebody sleeps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from slipway.client import Client
from slipway.client.patience import Clock
from tests.unit.client.server import Server

KEY = "k3y-of-the-usage-plan"


@dataclass
class Time:
    """``slept`` has every pause; chance always takes the upper bound."""

    at: float = 1_000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.at, sleep=self.sleep, uniform=lambda _, most: most)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def connect(server: Server, time: Time) -> Iterator[Callable[..., Client]]:
    """Make a client of the server, or of another URL."""
    made: list[Client] = []

    def connect_(url: str = "", **changes: Any) -> Client:
        given = {"model": "demo", "api_key": KEY, "clock": time.clock, **changes}
        made.append(Client(url or server.url, **given))
        return made[-1]

    yield connect_
    for client in made:
        client.close()


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    return connect()
