"""``slipway build --on sagemaker``: the build as a training job, from the upload to the verified artifact.

The job runs ``remote/entry.py`` in the image of ``training.Dockerfile``; docs/building.md says what it needs. The same
command, given again, goes on waiting for the job that it started, or fetches what a finished one made.
"""

import json
import re
import shutil
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model_build.config import BuildConfig
from model_build.fingerprint import build_fingerprint
from model_build.remote.inputs import CONFIG_CHANNEL, plan_inputs, upload_inputs
from model_build.remote.training_job import JobSpec, TrainingJobs, job_request
from model_build.stages import Build
from slipway.artifact import MANIFEST, read_manifest, verify_files
from slipway.errors import BuildError, GateFailed
from slipway.objects import Objects

GATE_EXIT = 3  # as the command line's
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
_POLL_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Remote:
    """Where and as whom the job runs. Raises BuildError for values that AWS would refuse an upload later."""

    role: str
    image: str
    bucket: str
    instance_type: str = "ml.g5.xlarge"
    spot: bool = False
    hours: float = 8.0

    def __post_init__(self) -> None:
        for name, option in (("role", "SLIPWAY_TRAINING_ROLE"), ("image", "SLIPWAY_TRAINING_IMAGE"),
                             ("bucket", "SLIPWAY_MODEL_BUCKET")):  # fmt: skip
            if not getattr(self, name):
                raise BuildError(f"--on sagemaker needs --{name}.", remedy=f"Give it, or set {option}.")
        if not _ROLE.fullmatch(self.role):
            raise BuildError(f"--role {self.role!r} is not the ARN of a role.", remedy="arn:aws:iam::<account>:role/…")
        if not self.instance_type.startswith("ml."):
            raise BuildError(f"--instance-type {self.instance_type!r} does not begin with ml., as SageMaker's do.")


@dataclass(frozen=True, kw_only=True)
class RemoteBuild(Build):
    """One build that is to run elsewhere; ``directory`` is where the artifact is to be in the end."""

    remote: Remote


def build_remotely(run: RemoteBuild, *, wait: bool, rebuild: bool = False) -> tuple[str, Path | None]:
    """Start the job, unless one of the same build runs or, without ``rebuild``, has ended well; the job's name.

    With ``wait`` also the artifact, verified: ``directory/<version>``. Raises BuildError or GateFailed with the job's
    own reason if it failed.
    """
    jobs = TrainingJobs()
    part = _name_part(run.config)
    name = jobs.newest(part, ["InProgress"] if rebuild else ["InProgress", "Completed"])
    if name is None:
        name = submit(run, jobs, part)
        run.say("job", f"{name} on {run.remote.instance_type}")
    else:
        run.say("job", f"{name} was started before")
    if not wait:
        return name, None
    try:
        location = wait_for(name, jobs, lambda line: run.say("sagemaker", line))
    except KeyboardInterrupt:
        run.say("job", f"{name} goes on. Wait again with the same command; aws sagemaker stop-training-job ends it.")
        raise
    return name, fetch(location, run.directory)


def submit(run: RemoteBuild, jobs: TrainingJobs, name_part: str) -> str:
    """Upload configuration and local data, and start the job. Returns its name."""
    name = f"{name_part}-{datetime.now(UTC):%Y%m%d%H%M%S}"
    folder = f"builds/{name}"
    config, channels = plan_inputs(run.config)
    with run.console.status(f"  uploading to s3://{run.remote.bucket}/{folder}"):
        size = upload_inputs(config, channels, run.remote.bucket, f"{folder}/input/")
    spec = JobSpec(
        name=name,
        model=run.config.model,
        folder=f"s3://{run.remote.bucket}/{folder}",
        state=f"s3://{run.remote.bucket}/builds/{name_part}/checkpoints",
        channels=[CONFIG_CHANNEL, *channels],
        input_bytes=size,
        role=run.remote.role,
        image=run.remote.image,
        instance_type=run.remote.instance_type,
        hours=run.remote.hours,
        spot=run.remote.spot,
        parameters={"config_path": run.config_path, "overrides": json.dumps(list(run.overrides))},
    )
    jobs.create(job_request(spec))
    return name


def wait_for(name: str, jobs: TrainingJobs, tell: Callable[[str], None], *, seconds: float = _POLL_SECONDS) -> str:
    """Ask for the job every ``seconds`` until it ends, and tell of each of its stages. Returns the archive's S3 URI."""
    told = 0
    while True:
        job = jobs.describe(name)
        stages = job.get("SecondaryStatusTransitions", [])
        for stage in stages[told:]:
            tell(f"{stage['Status']}: {stage.get('StatusMessage', '')}".rstrip(": "))
        told = max(told, len(stages))
        if job["TrainingJobStatus"] == "Completed":
            return str(job["ModelArtifacts"]["S3ModelArtifacts"])
        if job["TrainingJobStatus"] in ("Failed", "Stopped"):
            raise _end(name, job)
        time.sleep(seconds)


def fetch(location: str, directory: Path) -> Path:
    """Download the job's archive (an S3 URI), verify the artifact in it, and move it to ``directory/<version>``.

    An artifact of that version that is there already stays. Raises BuildError, ArtifactError or StoreError.
    """
    bucket, _, key = location.removeprefix("s3://").partition("/")
    scratch = directory / ".incoming"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        archive = scratch / "model.tar.gz"
        Objects(bucket, "").download(key, archive)
        found = _unpack(archive, scratch / "unpacked", location)
        manifest = read_manifest(found)
        verify_files(found, manifest)
        target = directory / manifest.version
        if not target.exists():
            found.rename(target)
        return target
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _unpack(archive: Path, into: Path, location: str) -> Path:
    try:
        with tarfile.open(archive) as content:
            content.extractall(into, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:  # a torn gzip stream is an EOFError or an OSError
        raise BuildError(f"{location} cannot be unpacked: {error}.", remedy="Build again with --rebuild.") from error
    manifests = list(into.glob(f"*/{MANIFEST}"))
    if len(manifests) != 1:
        raise BuildError(f"{location} holds {len(manifests)} artifacts, not one.", remedy="Does the image run slipway?")
    return manifests[0].parent


def _end(name: str, job: dict[str, Any]) -> BuildError:
    """Why there is no artifact, as an exception."""
    if job["TrainingJobStatus"] == "Stopped":
        secondary = job.get("SecondaryStatus", "")
        why = "someone stopped it" if secondary == "Stopped" else secondary
        return BuildError(
            f"The training job {name} was stopped: {why}.",
            remedy="The same command goes on from its checkpoints; --hours gives it more time.",
        )
    reason = job.get("FailureReason", "SageMaker gives no reason")
    kind = GateFailed if f"exit code: {GATE_EXIT}" in reason else BuildError
    return kind(f"The training job {name} failed: {reason}")


def _name_part(config: BuildConfig) -> str:
    """What the names of all jobs of one build begin with; SageMaker allows 63 characters in all."""
    return f"{config.model[:32]}-{build_fingerprint(config)[:12]}"
