"""The workflow's functions, one after the other as the workflow calls them, and what goes wrong between them."""

import json
from typing import Any

import pytest

from slipway.errors import ModelUnavailable, StoreError
from tests.batch.conftest import DATA, Context, Told, uploaded

CSV = b"text\na lovely superb moving film\na boring awful dull film\n\xff\n"


def document(s3: Any, key: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(s3.get_object(Bucket=DATA, Key=key)["Body"].read())
    return loaded


def queued(*events: dict[str, Any]) -> dict[str, Any]:
    """What Lambda brings of a queue that EventBridge fills."""
    return {"Records": [{"messageId": f"m-{n}", "body": json.dumps(event)} for n, event in enumerate(events)]}


def test_an_upload_becomes_results(function: Any, s3: Any, told: Told, version: str) -> None:
    event = uploaded(s3, "inbox/demo/films.csv", CSV)
    started = function("start")(event)
    assert started["state"] == "started"
    ((name, execution),) = told.executions
    assert started["job"] == name
    planned = function("plan")(execution)
    assert (planned["state"], planned["rows"]) == ("planned", 3)
    shards = s3.get_object(Bucket=DATA, Key=planned["shards"])["Body"].read().splitlines()
    for line in shards:
        assert function("score")({"folder": planned["folder"], "shard": json.loads(line)})["final"]
    finished = function("finish")({"folder": planned["folder"]})
    assert (finished["rows"], finished["scored"], finished["errors"]) == (3, 2, 1)
    manifest = document(s3, "outbox/demo/films.csv/manifest.json")
    assert (manifest["state"], manifest["model_version"], manifest["scored_by"]) == ("finished", version, "lambda")
    assert manifest["cost_estimate_usd"] > 0
    assert [kind for kind, _ in told.events] == ["slipway.batch.finished"]
    assert told.events[0][1]["job"] == name


def test_a_file_that_takes_longer_than_a_function_has_is_planned_in_steps(
    function: Any, s3: Any, told: Told, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.batch.cutting.SHARD_ROWS", 2)
    monkeypatch.setattr("slipway.batch.sources.CHUNK", 64)
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _: 30_000)
    function("start")(uploaded(s3, "inbox/demo/films.csv", b"text\n" + b"a lovely superb moving film\n" * 20))
    ((_, event),) = told.executions
    steps = 0
    while event.get("state") != "planned":
        event = function("plan")(event)  # what the workflow does while the state is "planning"
        steps += 1
    assert steps > 3
    assert event["rows"] == 20


def test_the_same_event_fifty_times_starts_one_execution(function: Any, s3: Any, told: Told, version: str) -> None:
    event = uploaded(s3, "inbox/demo/films.csv", CSV)
    states = [function("start")(event)["state"] for _ in range(50)]
    assert states == ["started", *["duplicate"] * 49]
    assert len(told.executions) == 1


def test_the_late_event_of_a_file_that_was_replaced_or_deleted_starts_nothing(
    function: Any, s3: Any, told: Told, version: str
) -> None:
    older = uploaded(s3, "inbox/demo/films.csv", CSV)
    newer = uploaded(s3, "inbox/demo/films.csv", CSV + b"more\n")
    assert [function("start")(event)["state"] for event in (newer, older)] == ["started", "superseded"]
    ((name, _),) = told.executions
    assert s3.get_object(Bucket=DATA, Key="jobs/demo/latest/films.csv")["Body"].read().decode() == name
    s3.delete_object(Bucket=DATA, Key="inbox/demo/films.csv")
    assert function("start")(newer)["state"] == "superseded"


def test_another_content_version_or_question_is_another_job(
    function: Any, s3: Any, told: Told, version: str, store: Any, second_artifact: Any
) -> None:
    start = function("start")
    start(uploaded(s3, "inbox/demo/films.csv", CSV))
    start(uploaded(s3, "inbox/demo/films.csv", CSV + b"more\n"))
    s3.put_object(Bucket=DATA, Key="inbox/demo/films.csv.slipway.json", Body=b'{"top_k": 1}')
    start(uploaded(s3, "inbox/demo/films.csv", CSV))
    store.promote(store.publish(second_artifact), by="test", why="next")
    start(uploaded(s3, "inbox/demo/films.csv", CSV))
    assert len({name for name, _ in told.executions}) == 4


@pytest.mark.parametrize(
    "key",
    ["inbox/other/films.csv", "outbox/demo/films.csv", "inbox/demo/", "inbox/demo/x/", "inbox/demo/a.slipway.json"],
)
def test_what_is_not_for_this_model_starts_nothing(function: Any, s3: Any, told: Told, version: str, key: str) -> None:
    assert function("start")(uploaded(s3, key, b"")) == {"state": "ignored"}
    assert not told.executions


@pytest.mark.parametrize("name", ["a b+c%20d.csv", "Ünïcode/映画.csv", "x&y=z?.csv"])
def test_any_key_works(function: Any, s3: Any, told: Told, version: str, name: str) -> None:
    function("start")(uploaded(s3, f"inbox/demo/{name}", CSV))
    ((_, execution),) = told.executions
    assert execution["job"]["key"] == f"inbox/demo/{name}"
    assert function("plan")(execution)["state"] == "planned"


def test_the_event_comes_in_a_message_of_a_queue(function: Any, s3: Any, told: Told, version: str) -> None:
    message = queued(uploaded(s3, "inbox/demo/films.csv", CSV))
    assert [function("start")(message) for _ in range(2)] == [{"batchItemFailures": []}] * 2
    assert len(told.executions) == 1, "a message that comes twice starts nothing"


def test_without_a_live_version_the_message_comes_again_until_there_is_one(
    function: Any, s3: Any, told: Told, store: Any, tiny_artifact: Any, caplog: pytest.LogCaptureFixture
) -> None:
    event = uploaded(s3, "inbox/demo/films.csv", CSV)
    assert function("start")(queued(event)) == {"batchItemFailures": [{"itemIdentifier": "m-0"}]}
    assert "not yet" in caplog.text
    with pytest.raises(ModelUnavailable, match="live"):
        function("start")(event)
    store.promote(store.publish(tiny_artifact), by="test", why="first")
    assert function("start")(queued(event)) == {"batchItemFailures": []}
    assert len(told.executions) == 1


def test_of_several_messages_those_come_again_that_are_not_done(function: Any, s3: Any, told: Told, store: Any) -> None:
    waits, strange = uploaded(s3, "inbox/demo/films.csv", CSV), uploaded(s3, "inbox/other/films.csv", CSV)
    assert function("start")(queued(strange, waits)) == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}


def test_a_message_whose_execution_could_not_be_started_comes_again(
    function: Any, s3: Any, told: Told, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(*_: Any) -> bool:
        raise StoreError("The execution could not be started: ThrottlingException.")

    monkeypatch.setattr("slipway.workflows.start_execution", throttled)
    with pytest.raises(StoreError, match="Throttling"):
        function("start")(queued(uploaded(s3, "inbox/demo/films.csv", CSV)))


@pytest.mark.parametrize(
    ("sidecar", "reason"),
    [
        (b"{", "is not JSON"),
        (b"[]", "no JSON object"),
        (b'{"topk": 1}', "topk"),
        (b'{"text_column": 3}', "text_column"),
    ],
)
def test_a_sidecar_that_cannot_be_read_is_told_in_the_manifest(
    function: Any, s3: Any, told: Told, version: str, sidecar: bytes, reason: str
) -> None:
    s3.put_object(Bucket=DATA, Key="inbox/demo/films.csv.slipway.json", Body=sidecar)
    function("start")(uploaded(s3, "inbox/demo/films.csv", CSV))
    ((_, execution),) = told.executions
    assert function("plan")(execution)["state"] == "failed"
    manifest = document(s3, "outbox/demo/films.csv/manifest.json")
    assert manifest["state"] == "failed"
    assert reason in manifest["reason"]
    assert [kind for kind, _ in told.events] == ["slipway.batch.failed"]


def test_a_file_that_was_replaced_meanwhile_is_not_mixed_with_its_successor(
    function: Any, s3: Any, told: Told, version: str
) -> None:
    function("start")(uploaded(s3, "inbox/demo/films.csv", CSV))
    ((_, execution),) = told.executions
    s3.put_object(Bucket=DATA, Key="inbox/demo/films.csv", Body=b"text\nanother\n")
    assert "overwritten" in function("plan")(execution)["reason"]


def test_a_failed_execution_is_told_once_and_by_who_knows_best(
    function: Any, s3: Any, told: Told, version: str
) -> None:
    function("start")(uploaded(s3, "inbox/demo/films.csv", CSV))
    ((_, execution),) = told.executions
    detail = {"status": "TIMED_OUT", "input": json.dumps(execution), "cause": None, "error": None}
    assert function("failed")(queued({"detail": detail})) == {"batchItemFailures": []}
    manifest = document(s3, "outbox/demo/films.csv/manifest.json")
    assert "TIMED_OUT" in manifest["reason"]
    assert "redrive" in manifest["remedy"]
    assert function("failed")({"detail": detail})["state"] == "known"
    assert [kind for kind, _ in told.events] == ["slipway.batch.failed"]


def test_a_failure_that_is_told_late_does_not_hide_what_a_redrive_has_finished(
    function: Any, s3: Any, told: Told, version: str
) -> None:
    function("start")(uploaded(s3, "inbox/demo/films.csv", CSV))
    ((_, execution),) = told.executions
    planned = function("plan")(execution)
    for line in s3.get_object(Bucket=DATA, Key=planned["shards"])["Body"].read().splitlines():
        function("score")({"folder": planned["folder"], "shard": json.loads(line)})
    function("finish")({"folder": planned["folder"]})
    detail = {"status": "FAILED", "input": json.dumps(execution), "cause": "S3", "error": "StoreError"}
    assert function("failed")({"detail": detail})["state"] == "known"
    assert document(s3, "outbox/demo/films.csv/manifest.json")["state"] == "finished"


def test_finishing_before_all_is_scored_fails(function: Any, s3: Any, told: Told, version: str) -> None:
    function("start")(uploaded(s3, "inbox/demo/films.csv", CSV))
    ((_, execution),) = told.executions
    planned = function("plan")(execution)
    with pytest.raises(Exception, match="is not finished"):
        function("finish")({"folder": planned["folder"]})
