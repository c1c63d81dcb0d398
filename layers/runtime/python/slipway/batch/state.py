"""How far a job is, told by what it has left behind; and how a file is handed over for one."""

import json
import re
import uuid
from typing import Any, NotRequired, TypedDict

from slipway.batch.job import INBOX, JOBS, MANIFEST, OUTBOX
from slipway.batch.places import Place
from slipway.errors import InvalidRequest, UnknownResource
from slipway.requests import ParameterValues

ID = re.compile(r"[0-9a-f]{32}")
# Of a file: not blank, no folder, no control character, and not a sidecar, which starts nothing.
NAME = r"^(?!\s*$)(?!\.{1,2}$)(?!.*\.slipway\.json$)[^/\\\u0000-\u001f\u007f]{1,200}$"
_PIECE = re.compile(r"(\d{6})-(\d{6})-(\d{6})\.jsonl")


class BatchBody(TypedDict):
    """The body of ``POST /v1/batches``: a file's name, and what may be asked of it; its sidecar says the same."""

    name: str
    model: NotRequired[str]
    text_column: NotRequired[str]
    parameters: NotRequired[ParameterValues]


class Where(TypedDict):
    """How to upload: the body of this request is the file. ``expires_in`` counts seconds."""

    method: str
    url: str
    expires_in: int


class Upload(TypedDict):
    """The answer: the upload starts the job, whose state is at ``/v1/batches/<id>``."""

    id: str
    model: str
    upload: Where
    bucket: str
    key: str


class State(TypedDict):
    """``rows`` is None until the file was planned; ``rows_done`` counts those that are scored or refused.

    ``results`` and ``errors_key`` are keys in ``bucket``.
    """

    id: str
    state: str
    model: str
    rows: int | None
    rows_done: int
    bucket: str
    input: str
    errors: NotRequired[int]
    results: NotRequired[list[str]]
    errors_key: NotRequired[str]
    reason: NotRequired[str]
    manifest: NotRequired[str]


def new_upload(model: str, name: str) -> tuple[str, str]:
    """An id and the key for a file called ``name``. Raises InvalidRequest."""
    if not re.match(NAME, name):
        raise InvalidRequest(
            "name must be the name of a file, without folders and control characters, of at most 200 characters.",
            field="name",
            remedy='Send {"name": "reviews.csv"}.',
        )
    found = uuid.uuid4().hex
    return found, f"{INBOX}{model}/{found}/{name}"


def state_of(place: Place, model: str, identifier: str, bucket: str) -> State:
    """The state of a job by its own id or by that of its upload. Raises UnknownResource."""
    job, key = _job_of(place, model, identifier)
    if not job:
        return _waiting(model, identifier, bucket)
    folder = f"{JOBS}{model}/{job}/"
    if kept := place.read(f"{folder}{MANIFEST}"):
        return _ended(json.loads(kept[0]), identifier, bucket)
    plan = place.read(f"{folder}plan.json")
    done = sum(_rows(name) for name in place.names(f"{folder}errors/")) if plan else 0
    return {
        "id": identifier,
        "state": "running" if plan else "planning",
        "model": model,
        "rows": json.loads(plan[0])["rows"] if plan else None,
        "rows_done": done,
        "bucket": bucket,
        "input": key,
    }


def latest(place: Place, model: str) -> list[str]:
    """Ids of the last job of each path, in the order of the paths."""
    found = (place.read(name) for name in place.names(f"{JOBS}{model}/latest/"))
    return [kept[0].decode() for kept in found if kept]


def _job_of(place: Place, model: str, identifier: str) -> tuple[str, str]:
    """The job's own id and its file's key; empty if the upload has started none."""
    if kept := place.read(f"{JOBS}{model}/{identifier}/job.json"):
        return identifier, json.loads(kept[0])["key"]
    latest = f"{JOBS}{model}/latest/"
    if ID.fullmatch(identifier):
        for name in place.names(f"{latest}{identifier}/"):
            if kept := place.read(name):
                return kept[0].decode(), INBOX + model + "/" + name.removeprefix(latest)
        return "", ""
    raise UnknownResource(
        f"There is no batch {identifier[:64]!r} here.", field="id", remedy="POST /v1/batches gives an id."
    )


def _waiting(model: str, identifier: str, bucket: str) -> State:
    return {
        "id": identifier,
        "state": "waiting for the upload",
        "model": model,
        "rows": None,
        "rows_done": 0,
        "bucket": bucket,
        "input": f"{INBOX}{model}/{identifier}/",
    }


def _ended(manifest: dict[str, Any], identifier: str, bucket: str) -> State:
    model, key = manifest["model"], manifest["input"]["key"]
    path = key.removeprefix(f"{INBOX}{model}/")
    state: State = {
        "id": identifier,
        "state": manifest["state"],
        "model": model,
        "rows": manifest.get("rows"),
        "rows_done": manifest.get("rows", 0),
        "bucket": bucket,
        "input": key,
        "manifest": f"{OUTBOX}{model}/{path}/{MANIFEST}",
    }
    if manifest["state"] == "failed":
        state["reason"] = " ".join(filter(None, (manifest["reason"], manifest.get("remedy"))))
        return state
    state["errors"] = manifest["errors"]
    state["errors_key"] = manifest["errors_key"]
    state["results"] = [result["key"] for result in manifest["results"]]
    return state


def _rows(name: str) -> int:
    found = _PIECE.search(name)
    return int(found[3]) - int(found[2]) if found else 0
