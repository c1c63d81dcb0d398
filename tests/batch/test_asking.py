"""Large jobs: a shard is asked about, its answer collected, and whatever goes wrong between, functions score it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from slipway.batch.asking import ticket_name
from slipway.errors import StoreError
from slipway.workflows import end_task
from tests.batch.conftest import DATA, Told, uploaded

ROWS = 12
CSV = b"text\n" + b"a lovely superb moving film\na boring awful dull film\n" * (ROWS // 2)
WAITS = "a token"


@dataclass
class Waiting:
    """Steps that wait, by their tokens, and what they were told to go on with."""

    told: list[dict[str, Any]] = field(default_factory=list)
    open: bool = True

    def end(self, token: str, document: dict[str, Any]) -> bool:
        assert token == WAITS
        self.told.append(document)
        waited, self.open = self.open, False
        return waited


@dataclass
class Asked:
    """SageMaker's runtime: one call after the other, each with an answer or an error that was prepared for it."""

    stub: Stubber
    calls: int = 0

    def answers(self, *, failure: bool = True) -> tuple[str, str]:
        """Prepare a call; the keys of its answer and of the reason for none."""
        self.calls += 1
        out, failed = f"async/demo/out/{self.calls}.out", f"async/demo/failed/{self.calls}-error.out"
        where = {"OutputLocation": f"s3://{DATA}/{out}"}
        expected = {
            "EndpointName": "the-endpoint",
            "InputLocation": ANY,
            "InferenceId": ANY,
            "ContentType": "application/jsonlines",
            "Accept": "application/jsonlines",
            "RequestTTLSeconds": 3600,
            "InvocationTimeoutSeconds": 900,
        }
        told = where | ({"FailureLocation": f"s3://{DATA}/{failed}"} if failure else {})
        self.stub.add_response("invoke_endpoint_async", told, expected)
        return out, failed

    def refuses(self, code: str) -> None:
        self.stub.add_client_error("invoke_endpoint_async", code)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    monkeypatch.setenv("SLIPWAY_GPU_ASYNC_ENDPOINT", "the-endpoint")  # before the functions are imported
    found = Waiting()
    monkeypatch.setattr("slipway.workflows.end_task", found.end)
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    client = boto3.client("sagemaker-runtime")
    monkeypatch.setattr("slipway.hosting.invoking.boto3", SimpleNamespace(client=lambda *_, **__: client))
    with Stubber(client) as stub:
        yield Asked(stub)
        stub.assert_no_pending_responses()


@pytest.fixture
def planned(function: Any, s3: Any, told: Told, version: str, waiting: Waiting) -> dict[str, Any]:
    """A job with one shard, and what the workflow tells ``ask`` of it."""
    function("start")(uploaded(s3, "inbox/demo/films.csv", CSV))
    ((_, execution),) = told.executions
    made = function("plan")(execution)
    (line,) = s3.get_object(Bucket=DATA, Key=made["shards"])["Body"].read().splitlines()
    return {"folder": made["folder"], "shard": json.loads(line)}


Answer = Callable[..., bytes]


@pytest.fixture
def right(version: str) -> Answer:
    """The answer to ``CSV``."""

    def answer(**changed: Any) -> bytes:
        one = {"label": "positive", "score": 0.75, "scores": {"positive": 0.75}, "tokens": 7, "truncated": False}
        document = {"predictions": [one] * ROWS, "model_version": version, "backend": "gpu-fp16", **changed}
        return json.dumps(document).encode() + b"\n"

    return answer


def state(function: Any, planned: dict[str, Any]) -> dict[str, Any]:
    """The job's manifest, once it is finished."""
    function("finish")({"folder": planned["folder"]})
    kept = boto3.client("s3").get_object(Bucket=DATA, Key="outbox/demo/films.csv/manifest.json")
    found: dict[str, Any] = json.loads(kept["Body"].read())
    return found


def names(s3: Any) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=DATA)["Contents"]]


def scored_here(function: Any, planned: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the workflow does when no answer came."""
    assert function("score")({**planned, **more})["final"]
    return state(function, planned)


def test_a_question_and_its_answer_become_the_shard_s_results(
    function: Any, s3: Any, planned: dict[str, Any], asked: Asked, waiting: Waiting, right: Answer
) -> None:
    out, _ = asked.answers()
    assert function("ask")({**planned, "token": WAITS}) == {"state": "asked"}
    assert waiting.told == [], "the step waits"
    (question,) = [name for name in names(s3) if name.startswith("async/demo/in/")]
    job = planned["folder"].split("/")[2]
    assert question == f"async/demo/in/{job}/000000.jsonl"
    (line,) = s3.get_object(Bucket=DATA, Key=question)["Body"].read().splitlines()
    assert len(json.loads(line)["instances"]) == ROWS
    assert function("collect")(uploaded(s3, out, right())) == {"state": "scored"}
    assert waiting.told == [{**planned, "final": True}]
    document = state(function, planned)
    assert (document["rows"], document["scored"]) == (ROWS, ROWS)
    assert document["labels"] == {"positive": ROWS}
    assert document["backends"] == {"gpu-fp16": {"scored": ROWS, "shards": 1}}
    assert document["cost_excludes"]


def test_an_answer_that_comes_before_its_ticket_is_collected_by_who_asked(
    function: Any, s3: Any, planned: dict[str, Any], asked: Asked, waiting: Waiting, right: Answer
) -> None:
    out, _ = asked.answers()
    event = uploaded(s3, out, right())
    assert function("collect")(event) == {"state": "ignored"}
    assert function("ask")({**planned, "token": WAITS}) == {"state": "scored"}
    assert [each["final"] for each in waiting.told] == [True]


def test_an_answer_that_comes_again_or_late_changes_nothing(
    function: Any, s3: Any, planned: dict[str, Any], asked: Asked, waiting: Waiting, right: Answer
) -> None:
    out, failed = asked.answers()
    function("ask")({**planned, "token": WAITS})
    before = scored_here(function, planned, unanswered={"Error": "States.Timeout", "Cause": ""})
    assert set(before["backends"]) == {"cpu-int8"}
    kept = names(s3)
    for _ in range(2):
        function("collect")(uploaded(s3, out, right()))
    function("collect")(uploaded(s3, failed, b"it took too long"))
    assert [name for name in names(s3) if name not in kept] == sorted([failed, out])
    assert state(function, planned)["backends"] == before["backends"]


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        ({"model_version": "20200101T000000Z-000000000000"}, "version"),
        ({"predictions": []}, "answer"),
        ({"backend": None, "predictions": None}, "answer"),
    ],
)
def test_a_wrong_answer_is_none_and_functions_score_the_shard(
    function: Any,
    s3: Any,
    planned: dict[str, Any],
    asked: Asked,
    waiting: Waiting,
    right: Answer,
    wrong: dict[str, Any],
    outcome: str,
) -> None:
    out, _ = asked.answers()
    function("ask")({**planned, "token": WAITS})
    assert function("collect")(uploaded(s3, out, right(**wrong))) == {"state": outcome}
    assert waiting.told == [{**planned, "final": False}]
    assert (f"{planned['folder']}given-up.json" in names(s3)) == (outcome == "version")
    document = scored_here(function, planned)
    assert document["backends"] == {"cpu-int8": {"scored": ROWS, "shards": 1}}
    assert document["cost_excludes"] == []


def test_a_failure_of_the_container_is_no_answer(
    function: Any, s3: Any, planned: dict[str, Any], asked: Asked, waiting: Waiting
) -> None:
    _, failed = asked.answers()
    function("ask")({**planned, "token": WAITS})
    assert function("collect")(uploaded(s3, failed, b"{}")) == {"state": "failed"}
    assert [each["final"] for each in waiting.told] == [False]
    assert scored_here(function, planned)["scored"] == ROWS


@pytest.mark.parametrize("code", ["ThrottlingException", "ValidationError", "ServiceUnavailable", "AccessDenied"])
def test_a_refused_question_lets_the_step_go_on_at_once(
    function: Any, planned: dict[str, Any], asked: Asked, waiting: Waiting, code: str
) -> None:
    asked.refuses(code)
    assert function("ask")({**planned, "token": WAITS}) == {"state": "refused"}
    assert waiting.told == [{**planned, "final": False}]
    assert scored_here(function, planned)["scored"] == ROWS


def test_one_step_that_waited_in_vain_keeps_the_job_s_others_from_waiting(
    function: Any, planned: dict[str, Any], asked: Asked, waiting: Waiting, s3: Any
) -> None:
    asked.answers(failure=False)
    function("ask")({**planned, "token": WAITS})
    before = [name for name in names(s3) if name.startswith("async/")]
    assert function("score")({**planned, "unanswered": {"Error": "States.Timeout"}})["final"]
    other = {**planned, "shard": {**planned["shard"], "index": 1}}
    assert function("ask")({**other, "token": WAITS}) == {"state": "given up"}
    assert [name for name in names(s3) if name.startswith("async/")] == before


def test_a_shard_that_is_done_is_not_asked_about_again(
    function: Any, planned: dict[str, Any], asked: Asked, waiting: Waiting
) -> None:
    scored_here(function, planned)
    assert function("ask")({**planned, "token": WAITS}) == {"state": "done"}
    assert waiting.told == [{**planned, "final": True}]


@pytest.mark.parametrize("key", ["async/demo/out/x.out", "async/demo/failed/x-error.out"])
def test_what_a_person_asked_the_endpoint_is_not_collected(
    function: Any, s3: Any, version: str, waiting: Waiting, key: str
) -> None:
    assert function("collect")(uploaded(s3, key, b"{}")) == {"state": "ignored"}
    assert waiting.told == []


def test_a_ticket_lies_where_parts_of_jobs_expire_and_beside_no_job_s_own() -> None:
    name = ticket_name("demo", "async/demo/out/x.out")
    assert name == "jobs/demo/asked/out/x.out.json"


@pytest.mark.parametrize(("code", "waits"), [("TaskTimedOut", False), ("TaskDoesNotExist", False), ("", True)])
def test_a_step_that_waits_no_longer_is_no_error(monkeypatch: pytest.MonkeyPatch, code: str, waits: bool) -> None:
    client = boto3.client("stepfunctions")
    monkeypatch.setattr("slipway.workflows._client", lambda _: client)
    with Stubber(client) as stub:
        if code:
            stub.add_client_error("send_task_success", code)
        else:
            stub.add_response("send_task_success", {}, {"taskToken": "t", "output": '{"final": true}'})
        assert end_task("t", {"final": True}) == waits


def test_a_step_that_cannot_be_told_is_an_error_so_that_the_event_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("stepfunctions")
    monkeypatch.setattr("slipway.workflows._client", lambda _: client)
    with Stubber(client) as stub:
        stub.add_client_error("send_task_success", "AccessDeniedException")
        with pytest.raises(StoreError, match="could not be told"):
            end_task("t", {})
