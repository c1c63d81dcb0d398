"""``/v1/batches``: what is handed out, what is refused, and how far a job is."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import pytest

from functions.predict.models import Models
from functions.predict.routes import Service
from functions.predict.shadowing import Shadowing
from slipway.batch.finishing import fail
from slipway.batch.job import Job
from slipway.objects import Objects
from slipway.settings import Settings


@pytest.fixture
def ask(caller: Any, settings: Settings, deployment: Models, bucket: str) -> Any:
    """The function of a deployment that scores files; here they share the models' bucket."""
    service = Service(replace(settings, data_bucket=bucket), deployment, Shadowing(print))
    return caller(lambda event, _: service.handle(event))


@pytest.mark.parametrize("name", ["films.csv", "Ünïcode + 100 %.txt", "a" * 200])
def test_an_upload_has_an_address_for_its_own_key(ask: Any, name: str) -> None:
    answer = ask("POST", "/v1/batches", {"name": name})
    assert answer.status == 201
    upload = answer.document
    assert upload["key"] == f"inbox/demo/{upload['id']}/{name}"
    address = urlsplit(upload["upload"]["url"])
    assert unquote(address.path).endswith(upload["key"])
    assert parse_qs(address.query)["X-Amz-Expires"] == [str(upload["upload"]["expires_in"])]
    state = ask("GET", f"/v1/batches/{upload['id']}").document
    assert (state["state"], state["rows"], state["rows_done"]) == ("waiting for the upload", None, 0)


def test_what_is_asked_of_the_file_lies_beside_it(ask: Any, bucket: str) -> None:
    body = {"name": "films.csv", "text_column": "review", "parameters": {"top_k": 2, "truncate": "windows"}}
    key = ask("POST", "/v1/batches", body).document["key"]
    sidecar = boto3.client("s3").get_object(Bucket=bucket, Key=f"{key}.slipway.json")["Body"].read()
    assert json.loads(sidecar) == {"text_column": "review", "top_k": 2, "truncate": "windows"}


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "name"),
        ({"name": ""}, 422, "name"),
        ({"name": " "}, 422, "name"),
        ({"name": "a/b.csv"}, 422, "name"),
        ({"name": ".."}, 422, "name"),
        ({"name": "a\x00b"}, 422, "name"),
        ({"name": "x.slipway.json"}, 422, "name"),
        ({"name": "a" * 201}, 422, "name"),
        ({"name": 5}, 422, "name"),
        ({"name": "a.csv", "model": "other"}, 404, "model"),
        ({"name": "a.csv", "parameters": {"top_k": 0}}, 422, "parameters.top_k"),
        ({"name": "a.csv", "text_column": 5}, 422, "text_column"),
        ({"name": "a.csv", "colour": "red"}, 422, "colour"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name_and_nothing_is_written(
    ask: Any, bucket: str, body: dict[str, Any], status: int, field: str
) -> None:
    answer = ask("POST", "/v1/batches", body)
    assert (answer.status, answer.document["field"]) == (status, field)
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix="inbox/")


def test_a_failed_job_says_why(ask: Any, bucket: str) -> None:
    objects = Objects(bucket, "")
    job = Job(model="demo", model_version="v", bucket=bucket, key="inbox/demo/x.csv", size=0, etag="e")
    objects.create(f"{job.folder}job.json", job.to_json())
    fail(job, objects, "It is empty.")
    state = ask("GET", f"/v1/batches/{job.id}").document
    assert (state["state"], state["reason"]) == ("failed", "It is empty.")
    assert state["manifest"] == "outbox/demo/x.csv/manifest.json"


@pytest.mark.parametrize("identifier", ["nothing", "demo-0123456789abcdef", "..%2f.."])
def test_an_unknown_job_is_not_found(ask: Any, identifier: str) -> None:
    assert ask("GET", f"/v1/batches/{identifier}").status == 404


def test_a_deployment_without_files_says_so(call: Any) -> None:
    answer = call("POST", "/v1/batches", {"name": "films.csv"})
    assert answer.status == 404
    assert "scores no files" in answer.document["detail"]
