"""What a step of the workflow works with: the bucket, the file, the model."""

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from slipway.batch.job import Job, Plan
from slipway.batch.sources import S3Source
from slipway.errors import StoreError
from slipway.loading import REPLAY_TOKENS, load_predictor
from slipway.objects import Objects, s3_client
from slipway.predictor import Predictor
from slipway.settings import function_vcpus
from slipway.settings.batch import BatchSettings
from slipway.versions import Versions

settings = BatchSettings.from_env()
client = s3_client()
bucket = Objects(settings.data_bucket, "", client)
_cache = Path(mkdtemp(prefix="slipway-"))


def source_of(job: Job) -> S3Source:
    """The uploaded file, as it was when the job began."""
    return S3Source(bucket, job.key, size=job.size, etag=job.etag, version_id=job.version_id)


@lru_cache(1)
def plan_in(folder: str) -> Plan:
    """The plan of the job whose folder that is. Raises StoreError."""
    kept = bucket.read(f"{folder}plan.json")
    if kept is None:
        raise StoreError(f"{bucket.url(folder)} has no plan.")
    return Plan.from_json(kept[0])


@lru_cache(1)
def predictor_of(version: str) -> Predictor:
    """A version of this deployment's model, loaded once a process."""
    versions = Versions(settings.model_bucket, settings.model, client, trusted_keys=settings.trusted_keys)
    directory = versions.fetch(version, None, _cache)
    return load_predictor(directory, threads=function_vcpus(), replay_tokens=REPLAY_TOKENS)


def job_of(event: dict[str, Any]) -> Job:
    """The job in an execution's input."""
    return Job.from_dict(event["job"])
