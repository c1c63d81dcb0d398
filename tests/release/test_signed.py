"""What follows promotions to the GPU endpoint trusts keys too: it says why before SageMaker tries."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.store import Store
from tests.release.conftest import SETTINGS, publish


def test_an_unsigned_promotion_is_not_rolled_out(
    function: Any, store: Store, sagemaker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    version = publish(store, hour=1)
    store.promote(version, by="mallory", why="")
    careful = replace(SETTINGS, trusted_keys="a" * 64)
    with caplog.at_level("INFO"):
        assert function("roll", careful).roll(), "it does not come again"
    assert "is not signed" in str([vars(record) for record in caplog.records])
    assert "wanted" not in sagemaker.components["component"]
