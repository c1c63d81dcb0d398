"""A promotion, a rollback and a damaged version while callers keep calling: nobody notices but by the version."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

from infra.local_cloud import LocalCloud, Outputs
from slipway.store import Store
from tests.conftest import run_build
from tests.local_cloud.client import get, predict

PROMISE_SECONDS = 30


class Load:
    """Callers that never pause: how often each status came, how often each version, and when that was last.

    They send the ``requests`` in turn, each of which is its texts.
    """

    def __init__(self, outputs: Outputs, requests: Sequence[Sequence[str]]) -> None:
        self.statuses: Counter[int] = Counter()
        self.seen: Counter[str] = Counter()
        self.last: dict[str, float] = {}
        self._outputs = outputs
        self._requests = requests
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def call(self) -> None:
        for texts in cycle(self._requests):
            if self._stop.is_set():
                return
            answer = predict(self._outputs, *texts)
            with self._lock:
                self.statuses[answer.status] += 1
                if answer.status == 200:
                    version = answer.json()["model_version"]
                    self.seen[version] += 1
                    self.last[version] = time.monotonic()

    def wait_for_only(self, version: str, since: float) -> float:
        """Seconds from ``since`` until ``version`` alone has answered for two seconds."""
        while True:
            others = [at for other, at in self.last.items() if other != version]
            now = time.monotonic()
            if version in self.last and all(now - at > 2 for at in others) and self.last[version] > since:
                return max([*others, since]) - since
            assert now - since < PROMISE_SECONDS + 2, f"still answered by {self.last}"
            time.sleep(0.05)

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def load_on(
    outputs: Outputs, callers: int = 4, requests: Sequence[Sequence[str]] = (("good film", "awful plot"),)
) -> Iterator[Load]:
    load = Load(outputs, requests)
    threads = [threading.Thread(target=load.call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop()
        for thread in threads:
            thread.join()


def test_promotion_and_rollback_under_load_lose_no_request(
    outputs: Outputs, model_store: Store, first: str, second: str
) -> None:
    with load_on(outputs) as load:
        load.wait_for_only(first, time.monotonic())
        model_store.promote(second, by="test", why="under load")
        promoted = load.wait_for_only(second, time.monotonic())
        model_store.rollback(by="test", why="under load")
        rolled_back = load.wait_for_only(first, time.monotonic())
    print(
        f"{load.statuses[200]} requests; new version everywhere after {promoted:.1f} s, back after {rolled_back:.1f} s"
    )
    assert set(load.statuses) == {200}
    assert set(load.seen) == {first, second}
    assert max(promoted, rolled_back) < PROMISE_SECONDS
    assert [entry.version for entry in model_store.history()[-2:]] == [second, first]


def test_a_flipped_byte_is_refused_and_named_and_the_old_version_serves_on(
    cloud: LocalCloud, outputs: Outputs, model_store: Store, first: str, tiny_config: Path, tmp_path: Path
) -> None:
    """A version of its own: a function that has loaded it whole, in another test, would rightly serve it."""
    artifact = run_build(tiny_config, tmp_path, "train.seed=15")
    version, weights = model_store.publish(artifact), "model.int8.onnx.data"
    damaged = bytearray((artifact / weights).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    key = f"models/demo/{version}/{weights}"
    cloud.client("s3").put_object(Bucket=outputs.model_bucket, Key=key, Body=bytes(damaged))
    started = time.time()
    try:
        with load_on(outputs, callers=1) as load:
            model_store.promote(version, by="test", why="damaged")
            status = wait_for_refusal(outputs, version)
            assert set(load.statuses) == {200}
            assert first in load.seen
            assert version not in load.seen
    finally:
        model_store.rollback(by="test", why="damaged")
    assert f"{weights} of demo {version} is damaged" in status["status"]["error_message"]
    assert any(f"{weights} of demo {version} is damaged" in line for line in function_log(cloud, started))


def wait_for_refusal(outputs: Outputs, version: str) -> dict[str, dict[str, str]]:
    """The refused version's entry in the model's status, which a function lists once it has tried it."""
    deadline = time.monotonic() + PROMISE_SECONDS
    while time.monotonic() < deadline:
        states = get(f"{outputs.api_url}/v1/models/demo", key=outputs.api_key).json()["model_version_status"]
        if refused := [s for s in states if s["version"] == version and s["state"] == "END"]:
            entry: dict[str, dict[str, str]] = refused[0]
            return entry
        time.sleep(0.2)
    raise AssertionError(f"{version} was not refused within {PROMISE_SECONDS} s")


def function_log(cloud: LocalCloud, since: float) -> list[str]:
    """Lines from ``since`` on: a page holds 10,000, and other tests have made many."""
    logs = cloud.client("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    pages = [
        page
        for group in groups
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=int(since * 1000))
    ]
    return [event["message"] for page in pages for event in page["events"]]
