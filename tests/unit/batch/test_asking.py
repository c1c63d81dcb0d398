"""What an endpoint is asked about a shard, and what its answer becomes: what a function would write, or nothing."""

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.endpoint.batching import Bounds
from functions.endpoint.engine import Engine
from functions.endpoint.invocations import JSON_LINES, read_invocation
from slipway.answers import answer
from slipway.batch import asking
from slipway.batch.asking import Unanswered, collect, give_up, is_given_up, question
from slipway.batch.finishing import finish
from slipway.batch.pieces import pieces_of
from slipway.predictor import Predictor
from slipway.requests import Limits, Parameters
from tests.unit.batch.conftest import Run

Answer = Callable[[bytes], bytes]
ROWS = [f"{'a lovely film' if row % 3 else 'an awful plot'} {row}" for row in range(250)]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three in a file."""
    monkeypatch.setattr("slipway.batch.scoring.WINDOW", 100)


@pytest.fixture(scope="session")
def endpoint(predictor: Predictor) -> Answer:
    """What the endpoint's server answers to JSON Lines, by its own code for reading and writing them."""

    def respond(body: bytes) -> bytes:
        engine = Engine(predictor, "gpu-fp16", Bounds(batch_tokens=1, run_tokens=0, in_flight=1, queue_tokens=1))
        call = read_invocation(body, JSON_LINES, Limits(1 << 30, 1 << 30), engine)
        asked = call.requests
        predictions = (predictor.predict(each.texts, truncation=each.parameters.truncation) for each in asked)
        manifest = predictor.manifest
        found = [answer(made, manifest, each.parameters) for made, each in zip(predictions, asked, strict=True)]
        return call.render(found).encode()

    return respond


def as_csv(rows: list[str]) -> bytes:
    return (
        "text,id\n" + "".join(f'"{row}, ""q""",{at}\n' for at, row in enumerate(rows)) + "too,many,columns\n"
    ).encode()


def as_json_lines(rows: list[str]) -> bytes:
    lines = [json.dumps({"text": row + "\u2028\r\n"}) for row in rows]
    lines[7], lines[150] = "no JSON", '{"text": ""}'
    return gzip.compress("\n".join(lines).encode())


def as_parquet(rows: list[str]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": [*rows, None], "id": range(len(rows) + 1)}), file)
    return file.getvalue()


def as_lines(rows: list[str]) -> bytes:
    return "\n".join([*rows[:30], "", *rows[30:]]).encode()


def ask_all(run: Run, endpoint: Answer) -> None:
    plan = run.plan()
    for shard in run.shards():
        told = endpoint(question(plan, shard, run.source, run.place))
        assert collect(plan, shard, told, run.source, run.place, seconds=0.5, memory_mb=1769)


FILES = {"a.csv": as_csv, "a.jsonl.gz": as_json_lines, "a.parquet": as_parquet, "a.txt": as_lines}
ASKED = [{}, {"top_k": 2, "abstain_below": 0.8, "truncation": "windows"}]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("asked", ASKED, ids=["plain", "with parameters"])
def test_an_answer_becomes_the_bytes_that_a_function_would_have_written(
    batch: Callable[..., Run], endpoint: Answer, name: str, asked: dict[str, Any]
) -> None:
    parameters = Parameters(**asked)
    here, there = (batch(name, FILES[name](ROWS), parameters=parameters) for _ in range(2))
    scored = here.all()
    ask_all(there, endpoint)
    answered = there.finish()
    assert there.results() == here.results()
    assert there.errors() == here.errors() != []
    counts = ("rows", "scored", "errors", "labels", "abstained", "columns")
    assert [answered[name] for name in counts] == [scored[name] for name in counts]


def test_the_manifest_says_what_computed_and_what_the_cost_leaves_out(
    batch: Callable[..., Run], endpoint: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.batch.cutting.SHARD_ROWS", 100)
    run = batch("a.txt", "\n".join(ROWS).encode())
    plan, (first, *others) = run.plan(), run.shards()
    told = endpoint(question(plan, first, run.source, run.place))
    collect(plan, first, told, run.source, run.place, seconds=2.0, memory_mb=1769)
    for shard in others:
        run.score(shard, memory_mb=3538)
    document = run.finish()
    assert document["backends"] == {
        "cpu-int8": {"scored": document["rows"] - first.rows, "shards": 2},
        "gpu-fp16": {"scored": first.rows, "shards": 1},
    }
    assert document["cost_excludes"] == ["instances of the asynchronous endpoint"]
    assert document["cost_estimate_usd"] > 0


def test_the_cost_is_of_the_memory_that_scored_and_not_of_the_function_that_joins(batch: Callable[..., Run]) -> None:
    documents = []
    for memory_mb in (1769, 10_240):
        run = batch("a.txt", "\n".join(ROWS).encode())
        run.plan()
        for shard in run.shards():
            run.score(shard, memory_mb=memory_mb)
        documents.append(finish(run.plan(), run.place, memory_mb=1769))
    small, large = documents
    assert large["cost_estimate_usd"] > small["cost_estimate_usd"]
    assert small["cost_excludes"] == []


def damaged(told: bytes, how: str, at: int) -> bytes:
    """An answer that is not the whole right one."""
    lines = told.splitlines(keepends=True)
    if how == "cut":
        return told[: at % (len(told) - 1)]
    if how == "a line less":
        return b"".join(lines[:-1])
    if how == "a line more":
        return told + lines[-1]
    if how == "an empty object":
        return b"{}\n" * len(lines)
    documents = [json.loads(line) for line in lines]
    chosen = documents[at % len(documents)]
    if how == "another version":
        chosen["model_version"] = "20200101T000000Z-000000000000"
    elif how == "a prediction less":
        chosen["predictions"].pop()
    elif how == "not a number":
        chosen["predictions"][0]["score"] = float("nan")
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


DAMAGES = [
    "cut",
    "a line less",
    "a line more",
    "an empty object",
    "another version",
    "a prediction less",
    "not a number",
]


@given(st.sampled_from(DAMAGES), st.integers(0, 10**9))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_answer_that_is_not_whole_or_of_another_version_writes_nothing(
    batch: Callable[..., Run], endpoint: Answer, how: str, at: int
) -> None:
    run = batch("a.txt", "\n".join(ROWS[:120]).encode())
    plan, (shard,) = run.plan(), run.shards()
    told = damaged(endpoint(question(plan, shard, run.source, run.place)), how, at)
    before = [*run.place.names()]
    with pytest.raises(Unanswered) as caught:
        collect(plan, shard, told, run.source, run.place, seconds=0, memory_mb=1769)
    assert [*run.place.names()] == before
    assert caught.value.lasting == (how == "another version")
    assert run.score(shard)
    assert run.finish()["scored"] == 120


def test_what_comes_late_or_twice_changes_nothing(batch: Callable[..., Run], endpoint: Answer) -> None:
    run = batch("a.txt", "\n".join(ROWS).encode())
    plan, (shard,) = run.plan(), run.shards()
    told = endpoint(question(plan, shard, run.source, run.place))
    assert not run.score(shard, time_left=lambda: 0.0), "functions have begun, and are called again"
    begun = [*run.place.names()]
    assert not collect(plan, shard, told, run.source, run.place, seconds=0, memory_mb=1769)
    with pytest.raises(Unanswered, match="begun"):
        question(plan, shard, run.source, run.place)
    assert [*run.place.names()] == begun
    assert run.score(shard)
    done = [*run.place.names()]
    assert collect(plan, shard, b"whatever", run.source, run.place, seconds=0, memory_mb=1769)
    assert [*run.place.names()] == done
    assert set(run.finish()["backends"]) == {"cpu-int8"}


def test_a_shard_that_was_answered_is_not_scored_again(batch: Callable[..., Run], endpoint: Answer) -> None:
    run = batch("a.txt", "\n".join(ROWS).encode())
    ask_all(run, endpoint)
    (shard,) = run.shards()
    before = [*run.place.names()]
    assert run.score(shard)
    assert [*run.place.names()] == before
    assert pieces_of(run.plan(), shard.index, run.place)[0].backend == "gpu-fp16"


def test_of_two_that_finish_at_once_the_mark_says_whose_results_count(
    batch: Callable[..., Run], endpoint: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both found nothing done, and the answer's piece is there before the function's: its mark is not."""
    run = batch("a.txt", "\n".join(ROWS).encode())
    plan, (shard,) = run.plan(), run.shards()
    told = endpoint(question(plan, shard, run.source, run.place))
    create = run.place.create

    def slowly(name: str, body: bytes) -> bool:
        if "/done/" in name:
            monkeypatch.setattr(run.place, "create", create)
            assert run.score(shard)
        return create(name, body)

    monkeypatch.setattr(run.place, "create", slowly)
    assert collect(plan, shard, told, run.source, run.place, seconds=0, memory_mb=1769)
    document = run.finish()
    assert set(document["backends"]) == {"cpu-int8"}
    assert document["rows"] == document["scored"] == len(ROWS)
    assert len([name for name in run.place.names() if "/pieces/" in name]) == 2


def test_an_endpoint_without_a_gpu_is_named_as_an_endpoint(batch: Callable[..., Run], endpoint: Answer) -> None:
    run = batch("a.txt", b"a lovely film\n")
    ask_all(run, lambda body: endpoint(body).replace(b"gpu-fp16", b"cpu-int8"))
    assert set(run.finish()["backends"]) == {"endpoint-cpu-int8"}


@pytest.mark.parametrize(
    ("content", "truncation", "limit", "kind"),
    [
        (b'{"text": "a lovely film"}\n', "error", asking.MAX_BYTES, "policy"),
        (b'{"text": "a lovely film"}\n', "right", 10, "size"),
        (b'{"text": 5}\n', "right", asking.MAX_BYTES, "empty"),
    ],
)
def test_what_functions_are_to_score_is_not_asked(
    batch: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, content: bytes, truncation: Any, limit: int, kind: str
) -> None:
    monkeypatch.setattr(asking, "MAX_BYTES", limit)
    run = batch("a.jsonl", content, parameters=Parameters(truncation=truncation))
    plan, (shard,) = run.plan(), run.shards()
    with pytest.raises(Unanswered, match=kind):
        question(plan, shard, run.source, run.place)


def test_a_job_gives_up_for_all_of_its_shards_and_for_no_other_job(batch: Callable[..., Run]) -> None:
    this, other = (batch(name, b"a lovely film\n") for name in ("a.txt", "b.txt"))
    give_up(this.plan(), this.place, "States.Timeout")
    give_up(this.plan(), this.place, "version")
    assert is_given_up(this.plan(), this.place)
    assert not is_given_up(other.plan(), this.place)
