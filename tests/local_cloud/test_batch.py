"""Files uploaded into the local cloud, and what comes back: by the same workflow that AWS runs."""

import csv
import gzip
import io
import json
import os
import random
import signal
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.local_cloud import LocalCloud, Outputs
from slipway.batch.local import score_file
from slipway.client import Client
from tests.local_cloud.client import get, post

PATIENCE = 240
WORDS = ["a superb film", "an awful plot", 'with "quotes", commas\nand a newline', "very good 🎉"]


@pytest.fixture
def s3(cloud: LocalCloud) -> Any:
    return cloud.client("s3")


@pytest.fixture
def upload(s3: Any, outputs: Outputs, first: str) -> Callable[[str, bytes], str]:
    """Put a file into the inbox once a version is live; the key that its results begin with."""

    def put(name: str, body: bytes) -> str:
        s3.put_object(Bucket=outputs.data_bucket, Key=f"inbox/demo/{name}", Body=body)
        return f"outbox/demo/{name}/"

    return put


@pytest.fixture
def manifest(s3: Any, outputs: Outputs) -> Callable[[str], dict[str, Any]]:
    """Wait for the manifest under a key."""

    def wait(results: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                kept = s3.get_object(Bucket=outputs.data_bucket, Key=f"{results}manifest.json")
            except s3.exceptions.NoSuchKey:
                time.sleep(0.3)
                continue
            document: dict[str, Any] = json.loads(kept["Body"].read())
            return document
        raise AssertionError(f"no manifest under {results}")

    return wait


def body(s3: Any, outputs: Outputs, key: str) -> bytes:
    content: bytes = s3.get_object(Bucket=outputs.data_bucket, Key=key)["Body"].read()
    return content


def texts(count: int) -> list[str]:
    return [f"{WORDS[row % len(WORDS)]} {row}" for row in range(count)]


def as_csv(rows: list[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([["id", "text"], *([row, text] for row, text in enumerate(rows))])
    return out.getvalue().encode()


def as_json_lines(rows: list[str]) -> bytes:
    return gzip.compress(b"".join(json.dumps({"text": text}).encode() + b"\n" for text in rows))


def as_parquet(rows: list[str]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": rows}), file)
    return file.getvalue()


def as_lines(rows: list[str]) -> bytes:
    return "".join(text.replace("\n", " ") + "\n" for text in rows).encode()


def read_back(name: str, data: bytes) -> list[str]:
    if name.endswith(".csv"):
        return [row["text"] for row in csv.DictReader(io.StringIO(data.decode(), newline=""))]
    if name.endswith(".gz"):
        return [json.loads(line)["text"] for line in gzip.decompress(data).splitlines()]
    if name.endswith(".parquet"):
        found: list[str] = pq.read_table(io.BytesIO(data))["text"].to_pylist()
        return found
    return [line.split("\t", 3)[3] for line in data.decode().splitlines()]


def read_scores(name: str, data: bytes) -> list[tuple[str, str]]:
    if name.endswith(".csv"):
        return [(row["label"], row["score"]) for row in csv.DictReader(io.StringIO(data.decode(), newline=""))]
    if name.endswith(".gz"):
        return [(row["label"], row["score"]) for row in map(json.loads, gzip.decompress(data).splitlines())]
    if name.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(data))
        return list(zip(table["label"].to_pylist(), table["score"].to_pylist(), strict=True))
    return [tuple(line.split("\t", 3)[:2]) for line in data.decode().splitlines()]  # type: ignore[misc]


FORMATS = [("csv", as_csv), ("jsonl.gz", as_json_lines), ("parquet", as_parquet), ("txt", as_lines)]


@pytest.mark.parametrize(("extension", "write"), FORMATS, ids=[name for name, _ in FORMATS])
def test_a_file_comes_back_with_every_row_scored_as_slipway_score_does_it_here(
    upload: Any,
    manifest: Any,
    s3: Any,
    outputs: Outputs,
    extension: str,
    write: Any,
    tiny_artifact: Path,
    tmp_path: Path,
) -> None:
    rows = texts(500)
    document = manifest(upload(f"Ünïcode + 100 %/my reviews.{extension}", write(rows)))
    assert document["state"] == "finished"
    assert (document["rows"], document["scored"], document["errors"]) == (500, 500, 0)
    (result,) = document["results"]
    file = tmp_path / f"my reviews.{extension}"
    file.write_bytes(write(rows))
    here = score_file(file, tiny_artifact, tmp_path / "here")
    assert document["model_version"] == here["model_version"]
    assert read_scores(file.name, body(s3, outputs, result["key"])) == read_scores(
        file.name, (tmp_path / "here" / here["results"][0]["key"]).read_bytes()
    )
    expected = rows if extension != "txt" else [text.replace("\n", " ") for text in rows]
    assert read_back(f"x.{extension}", body(s3, outputs, result["key"])) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("extension", "write"), FORMATS, ids=[name for name, _ in FORMATS])
def test_a_hundred_thousand_rows(
    upload: Any, manifest: Any, s3: Any, outputs: Outputs, extension: str, write: Any
) -> None:
    rows = texts(100_000)
    document = manifest(upload(f"large.{extension}", write(rows)))
    print(
        f"{extension}: {document['seconds']} s, {document['rows_per_second']} rows/s, {len(document['shards'])} shards"
    )
    assert (document["rows"], document["scored"]) == (100_000, 100_000)
    assert document["rows_per_second"] > 0
    expected = rows if extension != "txt" else [text.replace("\n", " ") for text in rows]
    assert read_back(f"x.{extension}", body(s3, outputs, document["results"][0]["key"])) == expected


@pytest.mark.slow
def test_score_killed_ten_times_leaves_what_an_undisturbed_run_leaves(
    upload: Any, manifest: Any, s3: Any, outputs: Outputs, cloud: LocalCloud
) -> None:
    content = as_csv([f"{text} {'and so on ' * 20}" for text in texts(60_000)])
    undisturbed = manifest(upload("undisturbed.csv", content))
    chance, kills = random.Random(7), 0
    results = upload("disturbed.csv", content)
    deadline = time.monotonic() + PATIENCE
    manifests = partial(s3.list_objects_v2, Bucket=outputs.data_bucket, Prefix=f"{results}manifest.json")
    while kills < 10 and not manifests()["KeyCount"]:
        assert time.monotonic() < deadline
        time.sleep(chance.uniform(0.05, 0.8))
        if running := processes_of(cloud, "functions.batch.score"):
            with suppress(ProcessLookupError):  # one may have ended since it was looked for
                os.kill(chance.choice(running), signal.SIGKILL)
                kills += 1
    disturbed = manifest(results)
    assert kills == 10 or disturbed["state"] == "failed"
    if disturbed["state"] == "failed":  # one shard met more kills than a step has retries
        assert "redrive" in disturbed["remedy"]
        disturbed = gone_on(cloud, outputs, disturbed["job"], lambda: manifest(results))
    assert disturbed["state"] == "finished"
    assert (disturbed["rows"], disturbed["scored"]) == (undisturbed["rows"], undisturbed["scored"])
    (whole,), (mended,) = undisturbed["results"], disturbed["results"]
    assert body(s3, outputs, mended["key"]) == body(s3, outputs, whole["key"])


def gone_on(cloud: LocalCloud, outputs: Outputs, job: str, state: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a redrive does, which the local cloud has not: the steps of the same input once more."""
    states = cloud.client("stepfunctions")
    arn = outputs.workflow.replace(":stateMachine:", ":execution:") + f":{job}"
    given = states.describe_execution(executionArn=arn)["input"]
    states.start_execution(stateMachineArn=outputs.workflow, name=f"{job}-again", input=given)
    deadline = time.monotonic() + PATIENCE
    while (document := state())["state"] == "failed" and time.monotonic() < deadline:
        time.sleep(0.5)
    return document


def processes_of(cloud: LocalCloud, module: str) -> list[int]:
    """Processes of this cloud's functions whose handler is in ``module``."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            ours = cloud.endpoint_url.encode() in (path / "environ").read_bytes()
            if ours and module.encode() in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def test_an_event_delivered_fifty_times_starts_one_execution(
    upload: Any, manifest: Any, cloud: LocalCloud, outputs: Outputs, s3: Any
) -> None:
    name = "fifty.csv"
    document = manifest(upload(name, as_csv(texts(20))))
    (job,) = jobs_of(cloud, outputs, f"inbox/demo/{name}")
    told = {"key": job["key"], "size": job["size"], "etag": job["etag"], "sequencer": job["sequencer"]}
    told |= {"version-id": job["version_id"]} if job["version_id"] else {}
    event = {"detail": {"bucket": {"name": outputs.data_bucket}, "object": told}}
    before = s3.head_object(Bucket=outputs.data_bucket, Key=document["results"][0]["key"])["LastModified"]
    deliver(cloud, "functions.batch.start.handler", event, 50)
    assert jobs_of(cloud, outputs, f"inbox/demo/{name}") == [job]
    assert s3.head_object(Bucket=outputs.data_bucket, Key=document["results"][0]["key"])["LastModified"] == before


def jobs_of(cloud: LocalCloud, outputs: Outputs, key: str) -> list[dict[str, Any]]:
    """Of all executions that were started for a file."""
    client = cloud.client("stepfunctions")
    pages = client.get_paginator("list_executions").paginate(stateMachineArn=outputs.workflow)
    arns = [each["executionArn"] for page in pages for each in page["executions"]]
    jobs = [json.loads(client.describe_execution(executionArn=arn)["input"])["job"] for arn in arns]
    return [job for job in jobs if job["key"] == key]


def deliver(cloud: LocalCloud, handler: str, event: dict[str, Any], times: int) -> None:
    """Put an event into the queue before a function, as a rule does, ten at once, and wait until all are taken."""
    functions = cloud.client("lambda")
    (name,) = [f["FunctionName"] for f in functions.list_functions()["Functions"] if f.get("Handler") == handler]
    (mapping,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    queues = cloud.client("sqs")
    url = queues.get_queue_url(QueueName=mapping["EventSourceArn"].rsplit(":", 1)[1])["QueueUrl"]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: queues.send_message(QueueUrl=url, MessageBody=json.dumps(event)), range(times)))
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    deadline = time.monotonic() + PATIENCE
    while any(int(n) for n in queues.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"].values()):
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_a_file_that_cannot_be_scored_says_why_in_its_manifest(upload: Any, manifest: Any) -> None:
    document = manifest(upload("workbook.xlsx", b"PK\x03\x04" + bytes(100)))
    assert document["state"] == "failed"
    assert "Excel" in document["reason"]
    assert "CSV" in document["remedy"]


def test_broken_rows_come_back_in_errors_jsonl(upload: Any, manifest: Any, s3: Any, outputs: Outputs) -> None:
    document = manifest(upload("some.jsonl", b'{"text": "good film"}\n{"text": 5}\nnot json\n{"text": "bad"}\n'))
    assert (document["scored"], document["errors"]) == (2, 2)
    errors = [json.loads(line) for line in body(s3, outputs, document["errors_key"]).splitlines()]
    assert [error["row"] for error in errors] == [2, 3]


def test_a_presigned_upload_starts_a_job_whose_state_can_be_asked(outputs: Outputs, first: str) -> None:
    asked = json.dumps({"name": "reviews.csv", "text_column": "review", "parameters": {"top_k": 1}})
    made = post(f"{outputs.api_url}/v1/batches", asked.encode(), key=outputs.api_key)
    assert made.status == 201
    upload = made.json()
    where = f"{outputs.api_url}/v1/batches/{upload['id']}"
    assert get(where, key=outputs.api_key).json()["state"] == "waiting for the upload"
    put(upload["upload"]["url"], b"review\ngood film\nbad film\n")
    deadline = time.monotonic() + PATIENCE
    while (state := get(where, key=outputs.api_key).json())["state"] != "finished":
        assert state["state"] in ("waiting for the upload", "planning", "running")
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert (state["rows"], state["rows_done"], state["errors"]) == (2, 2, 0)
    assert state["results"] == [f"outbox/demo/{upload['id']}/reviews.csv/reviews.scored.csv"]


def test_the_client_uploads_a_file_and_waits_for_its_results(
    outputs: Outputs, first: str, tmp_path: Path, s3: Any
) -> None:
    file = tmp_path / "films.csv"
    file.write_bytes(as_csv(texts(200)))
    sent: list[tuple[int, int]] = []
    states: list[str] = []
    with Client(outputs.api_url, model=outputs.model, api_key=outputs.api_key) as client:
        identifier = client.upload(file, progress=lambda *bytes_: sent.append(bytes_), top_k=1)
        state = client.wait(identifier, every=0.2, progress=lambda now: states.append(now.state))
    assert sent[-1] == (file.stat().st_size,) * 2
    assert (state.state, state.rows, state.rows_done, state.errors) == ("finished", 200, 200, 0)
    assert states[-1] == "finished"
    (result,) = state.results
    assert read_back("x.csv", body(s3, outputs, result)) == texts(200)


def put(url: str, content: bytes) -> None:
    request = urllib.request.Request(url, content, method="PUT")
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 200
