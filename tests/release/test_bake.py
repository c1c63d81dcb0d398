"""A turn as Step Functions calls it: its JSON in, its JSON out, the pointer moved between."""

import json
import time
from types import ModuleType
from typing import Any

import pytest

from slipway.bakes.bounds import Bounds
from slipway.bakes.plan import Bake
from slipway.bakes.records import Records
from slipway.bakes.tally import Counts, Tally
from slipway.errors import SettingsError
from slipway.store import Store
from tests.conftest import BUCKET
from tests.release.conftest import publish


@pytest.fixture
def bake(store: Store, live: Any) -> Bake:
    live(hour=1)
    pointer = store.canary(publish(store, hour=2), 0.1, by="ada", why="")
    options = {"seconds": 60.0, "patience": 600.0, "by": "ada", "bounds": Bounds(requests=10)}
    return Bake.begun(pointer, now=time.time(), steps=(), **options)


@pytest.fixture
def turn(function: Any) -> ModuleType:
    loaded: ModuleType = function("bake")
    return loaded


def test_a_turn_without_news_waits(turn: ModuleType, bake: Bake) -> None:
    document = json.loads(json.dumps(turn.handler(json.loads(json.dumps(bake.to_dict())), None)))
    assert (document["state"], document["pause"]) == ("going", 3)
    assert Bake.from_dict(document) == bake


def test_a_turn_with_bad_news_withdraws(turn: ModuleType, bake: Bake, store: Store) -> None:
    pointer = store.live()
    assert pointer
    failed = Counts(live=Tally(requests=50), canary=Tally(requests=9, failures=9))
    Records(BUCKET, "demo").write(pointer, "process", failed.to_json())
    document = turn.handler(bake.to_dict(), None)
    now = store.live()
    assert now
    assert (document["state"], now.action, now.canary) == ("withdrawn", "withdraw", None)
    assert "it failed at 9 of 9 requests" in now.why


def test_a_document_that_is_no_bake_is_an_error_for_the_workflow(turn: ModuleType, bake: Bake) -> None:
    with pytest.raises(SettingsError):
        turn.handler({**bake.to_dict(), "weight": 2}, None)
