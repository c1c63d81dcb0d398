"""How jobs end that meet others of their path, a redrive, or a name that S3 cannot take."""

import json
from typing import Any

import pytest

from slipway.batch.finishing import fail
from tests.batch.conftest import DATA, Told, uploaded

KEY, CSV = "inbox/demo/films.csv", b"text\na lovely superb moving film\na boring awful dull film\n"


@pytest.fixture
def versioned(s3: Any) -> Any:
    s3.put_bucket_versioning(Bucket=DATA, VersioningConfiguration={"Status": "Enabled"})
    return s3


def put(s3: Any, body: bytes, sequencer: str) -> dict[str, Any]:
    """An upload into a bucket that keeps versions, and its event."""
    event = uploaded(s3, KEY, body)
    version = s3.head_object(Bucket=DATA, Key=KEY)["VersionId"]
    event["detail"]["object"] |= {"version-id": version, "sequencer": sequencer}
    return event


def read(s3: Any, key: str) -> bytes:
    content: bytes = s3.get_object(Bucket=DATA, Key=key)["Body"].read()
    return content


def manifest(s3: Any, folder: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(read(s3, f"{folder}manifest.json"))
    return document


def scored(function: Any, s3: Any, execution: dict[str, Any]) -> dict[str, str]:
    """A job but for its last step, whose event is returned."""
    planned = function("plan")(execution)
    for line in read(s3, planned["shards"]).splitlines():
        assert function("score")({"folder": planned["folder"], "shard": json.loads(line)})["final"]
    return {"folder": planned["folder"]}


def failure(execution: dict[str, Any]) -> dict[str, Any]:
    return {"detail": {"status": "FAILED", "input": json.dumps(execution), "cause": "S3", "error": "StoreError"}}


def test_an_older_job_that_ends_last_does_not_hide_newer_results(
    function: Any, versioned: Any, told: Told, version: str
) -> None:
    function("start")(put(versioned, CSV.replace(b"film", b"old"), "0061"))
    last = scored(function, versioned, told.executions[0][1])
    function("start")(put(versioned, CSV.replace(b"film", b"new"), "0062"))
    function("finish")(scored(function, versioned, told.executions[1][1]))
    (older, execution), (newer, _) = told.executions
    ended = function("finish")(last)
    assert (ended["state"], ended["superseded_by"], ended["rows"]) == ("finished", newer, 2)
    assert b"new" in read(versioned, "outbox/demo/films.csv/films.scored.csv")
    assert manifest(versioned, "outbox/demo/films.csv/")["job"] == newer
    own = manifest(versioned, last["folder"])
    assert (own["job"], own["superseded_by"]) == (older, newer)
    assert b"old" in read(versioned, own["results"][0]["key"])
    assert [kind for kind, _ in told.events] == ["slipway.batch.finished", "slipway.batch.superseded"]
    assert newer in told.events[1][1]["reason"]
    assert function("failed")(failure(execution))["state"] == "known"
    assert manifest(versioned, "outbox/demo/films.csv/")["job"] == newer


def test_an_older_job_that_fails_last_does_not_hide_newer_results(
    function: Any, versioned: Any, told: Told, version: str
) -> None:
    for number in (1, 2):
        function("start")(put(versioned, CSV * number, f"006{number}"))
    (_, execution), (newer, last) = told.executions
    function("finish")(scored(function, versioned, last))
    function("failed")(failure(execution))
    assert manifest(versioned, "outbox/demo/films.csv/")["job"] == newer
    assert manifest(versioned, f"jobs/demo/{told.executions[0][0]}/")["superseded_by"] == newer


def test_an_event_that_was_overtaken_on_its_way_does_not_move_the_outbox_back(
    function: Any, versioned: Any, told: Told, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older event's function saw its upload as the current one, and wrote its pointer after the newer one's."""
    start = function("start")
    older, newer = (put(versioned, CSV.replace(b"film", word), number) for word, number in ((b"a", "1"), (b"b", "2")))
    start(newer)
    monkeypatch.setattr("functions.batch.start._is_current", lambda *_: True)
    start(older)
    (latest, first), (_, second) = told.executions
    function("finish")(scored(function, versioned, first))
    assert read(versioned, "jobs/demo/latest/films.csv").decode() == latest
    function("failed")(failure(second))
    assert manifest(versioned, "outbox/demo/films.csv/")["job"] == latest


def test_the_pointer_is_there_before_the_execution(
    function: Any, s3: Any, told: Told, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bytes]] = []

    def start(_: str, name: str, document: dict[str, Any]) -> bool:
        kept = json.loads(read(s3, f"jobs/demo/{name}/job.json"))
        assert kept["sequencer"] == document["job"]["sequencer"] == "00A1"
        seen.append((name, read(s3, "jobs/demo/latest/films.csv")))
        return True

    monkeypatch.setattr("slipway.workflows.start_execution", start)
    event = uploaded(s3, KEY, CSV)
    event["detail"]["object"]["sequencer"] = "00A1"
    function("start")(event)
    ((name, pointer),) = seen
    assert pointer.decode() == name


def test_a_failure_that_is_told_again_after_a_redrive_changes_nothing(
    function: Any, s3: Any, told: Told, version: str
) -> None:
    function("start")(uploaded(s3, KEY, CSV))
    ((_, execution),) = told.executions
    failed = function("failed")
    assert [failed(failure(execution))["state"] for _ in range(2)] == ["failed", "known"]
    function("finish")(scored(function, s3, execution))
    assert manifest(s3, "outbox/demo/films.csv/")["state"] == "finished"
    assert failed(failure(execution))["state"] == "known"
    assert manifest(s3, "outbox/demo/films.csv/")["state"] == "finished"
    assert [kind for kind, _ in told.events] == ["slipway.batch.failed", "slipway.batch.finished"]


def test_a_job_that_finishes_while_its_failure_is_told_stays_finished(
    function: Any, s3: Any, told: Told, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    function("start")(uploaded(s3, KEY, CSV))
    ((_, execution),) = told.executions
    last, failed = scored(function, s3, execution), function("failed")

    def meanwhile(*what: Any) -> dict[str, Any]:
        function("finish")(last)
        return fail(*what)

    monkeypatch.setattr("functions.batch.failed.fail", meanwhile)
    assert failed(failure(execution))["state"] == "known"
    assert manifest(s3, "outbox/demo/films.csv/")["state"] == "finished"
    assert [kind for kind, _ in told.events] == ["slipway.batch.finished"]


@pytest.mark.parametrize("name", ["0" * 32 + "/" + "影" * 190 + ".csv", "a" * 1_009 + ".csv"])
def test_a_name_that_leaves_no_room_for_results_is_refused_before_anything_is_scored(
    function: Any, s3: Any, told: Told, version: str, name: str
) -> None:
    function("start")(uploaded(s3, f"inbox/demo/{name}", CSV))
    ((job, execution),) = told.executions
    assert function("plan")(execution)["state"] == "failed"
    reason = manifest(s3, f"jobs/demo/{job}/")["reason"]
    assert "too long" in reason
    assert "shorter" in reason
    assert [kind for kind, _ in told.events] == ["slipway.batch.failed"]
