"""The model store against moto's S3: versions, pointer, ledger."""

from pathlib import Path

from slipway.store import Store


def test_a_promotion_is_live_and_in_the_ledger(store: Store, tiny_artifact: Path) -> None:
    version = store.publish(tiny_artifact)
    live = store.promote(version, by="ada", why="first")
    assert store.live() == live
    assert store.history() == [live]
