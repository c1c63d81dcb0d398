"""An upload's event → an execution of the workflow. Needs neither a model nor numpy: a zip with the runtime layer.

The execution's name is made of the file's content and the version that is live now: S3 may tell of one upload many
times, and each time but the first is refused by name. A promotion in the middle of a job changes nothing of it.
"""

import logging
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from functions.batch.queued import in_messages
from slipway.batch.job import SIDECAR, Job, Request, model_of, refused_name
from slipway.errors import BatchError, ModelUnavailable
from slipway.objects import Objects
from slipway.settings.batch import BatchSettings
from slipway.store import Store
from slipway.workflows import start_execution

logger = logging.getLogger()  # Lambda writes its records as JSON: Powertools is not in a zip's runtime
logger.setLevel(logging.INFO)
settings = BatchSettings.from_env()


@in_messages
def handler(event: dict[str, Any], _: object) -> dict[str, str]:
    """Start the job of one EventBridge event "Object Created"; what is not for this model starts nothing.

    Raises ModelUnavailable while no version is live: the message comes again in six minutes, for a day.
    """
    detail = event["detail"]
    key, size = str(detail["object"]["key"]), int(detail["object"].get("size", 0))
    if model_of(key) != settings.model:
        logger.info("ignored: not for this model")
        return {"state": "ignored"}
    objects = Objects(detail["bucket"]["name"], "")
    if not _is_current(objects, key, detail["object"]):
        logger.info("ignored: replaced or deleted since")
        return {"state": "superseded"}
    job = _job(objects, key, size, detail["object"])
    objects.create(f"{job.folder}job.json", job.to_json())  # tells an older job, which may end later, that it is older
    objects.write(job.pointer, [job.id.encode()])
    started = start_execution(settings.state_machine, job.id, {"job": asdict(job)})
    logger.info("started" if started else "already started", extra={"job": job.id})
    return {"state": "started" if started else "duplicate", "job": job.id}


def _is_current(objects: Objects, key: str, told: dict[str, Any]) -> bool:
    """Whether the event is about what the key holds now. Events come late and in any order: an older upload's job
    would write its results over those of the newer one, whose own event starts a job of its own.
    """
    etag = str(told.get("etag", ""))
    return not etag or objects.etag(key) == etag


def _job(objects: Objects, key: str, size: int, told: dict[str, Any]) -> Job:
    live = Store(settings.model_bucket, settings.model).live()
    if live is None:
        raise ModelUnavailable(f"No version of {settings.model!r} is live.", remedy="`slipway promote` one.")
    return Job(
        model=settings.model,
        model_version=live.version,
        bucket=objects.bucket,
        key=key,
        size=size,
        etag=str(told.get("etag", "")),
        version_id=str(told.get("version-id", "")),
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        request=_request(objects, key),
        sequencer=str(told.get("sequencer", "")),
    )


def _request(objects: Objects, key: str) -> Request:
    """What the sidecar asks for. One that cannot be read is told by ``plan``, where the job has a manifest for it."""
    if reason := refused_name(settings.model, key):
        return Request(refused=reason)
    kept = objects.read(key + SIDECAR)
    if kept is None:
        return Request()
    try:
        return Request.from_json(kept[0], source=key + SIDECAR)
    except BatchError as error:
        return Request(refused=str(error))
