"""Canaries that the command line releases under load: bad ones undo themselves, a good one is promoted."""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from infra.local_cloud import LocalCloud, Outputs
from model_build import cli
from slipway import workflows
from slipway.releases import Live
from slipway.store import Store
from tests.local_cloud import candidates
from tests.local_cloud.test_releases import load_on

pytestmark = pytest.mark.slow  # a process follows the pointer within ten seconds, several times

WEIGHT = 0.2
LONG = " ".join(["the plot was awful and dull"] * 4)
DEADLINE = 60


@pytest.fixture
def promote(cloud: LocalCloud, outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """``slipway promote VERSION --canary 20 --bake 2s``, as a person types it."""
    for name, value in cloud.client_env().items():
        monkeypatch.setenv(name, value)
    workflows._client.cache_clear()  # those of other tests' clouds

    def typed(version: str, *options: str) -> None:
        where = ["--bucket", outputs.model_bucket, "--model", outputs.model, "--by", "ada"]
        with pytest.raises(SystemExit) as done:
            cli.main(["promote", version, *where, "--canary", f"{100 * WEIGHT:g}", "--bake", "2s", *options])
        assert done.value.code == 0

    yield typed
    workflows._client.cache_clear()


def wait_for_end(store: Store, candidate: str) -> Live:
    """The pointer once the candidate is no canary any more."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        live = store.live()
        assert live
        if live.canary is None:
            return live
        time.sleep(0.2)
    raise AssertionError(f"{candidate} is still a canary after {DEADLINE} s")


@pytest.mark.parametrize("fault", ["swapped", "slow", "crashing"])
def test_a_bad_candidate_is_withdrawn_by_itself_with_the_reason_and_no_request_fails(
    fault: str,
    cloud: LocalCloud,
    outputs: Outputs,
    model_store: Store,
    first: str,
    tiny_artifact: Path,
    tmp_path: Path,
    promote: Callable[..., None],
) -> None:
    reasons = {"swapped": "got another label", "slow": "times as long", "crashing": "failed"}
    make = {"swapped": candidates.swapped, "slow": partial(candidates.slow, text=LONG), "crashing": candidates.crashing}
    artifact = make[fault](tiny_artifact, tmp_path / fault)
    candidate = model_store.publish(artifact)
    model_store.promote(first, by="test", why=f"before {fault}")
    with load_on(outputs, requests=(("good film",), (LONG,))) as load:
        load.wait_for_only(first, time.monotonic())
        started, before = time.monotonic(), load.statuses[200]
        promote(candidate, "--bounds", "requests=30")
        ended = wait_for_end(model_store, candidate)
        took = time.monotonic() - started
        load.wait_for_only(first, time.monotonic())
    answered, requests = load.seen[candidate], load.statuses[200] - before
    print(f"{fault}: {took:.1f} s, answered {answered} of {requests} ({answered / requests:.1%}): {ended.why}")
    assert (ended.version, ended.action, ended.by) == (first, "withdraw", "bake")
    assert candidate in ended.why
    assert reasons[fault] in ended.why
    assert set(load.statuses) == {200}
    assert answered <= WEIGHT * requests + 4 * math.sqrt(requests * WEIGHT * (1 - WEIGHT))


def test_a_good_candidate_grows_by_steps_and_is_promoted(
    outputs: Outputs, model_store: Store, first: str, tiny_artifact: Path, tmp_path: Path, promote: Callable[..., None]
) -> None:
    candidate = model_store.publish(candidates.renamed(tiny_artifact, tmp_path / "good"))
    model_store.promote(first, by="test", why="before good")
    known = len(model_store.history())
    with load_on(outputs) as load:
        load.wait_for_only(first, time.monotonic())
        promote(candidate, "--steps", "20,50,100", "--bounds", "requests=20", "--why", "the same again")
        ended = wait_for_end(model_store, candidate)
    steps = [(entry.action, entry.by, entry.canary and entry.canary.weight) for entry in model_store.history()[known:]]
    print(ended.why)
    assert steps == [("canary", "ada", 0.2), ("canary", "bake", 0.5), ("promote", "bake", None)]
    assert (ended.version, set(load.statuses)) == (candidate, {200})
