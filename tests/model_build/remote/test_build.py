"""A build as a SageMaker job, from the upload to what comes back, with moto's SageMaker and S3 around it."""

import io
import json
import os
import re
import tarfile
import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sagemaker.models import sagemaker_backends
from rich.console import Console

from model_build.config import BuildConfig
from model_build.remote import build as remote
from model_build.remote.build import Remote, RemoteBuild, build_remotely, fetch, wait_for
from model_build.remote.training_job import TrainingJobs
from slipway.artifact import read_manifest, verify_files
from slipway.errors import ArtifactError, BuildError, GateFailed, SlipwayError, StoreError
from tests.conftest import BUCKET

ROLE = "arn:aws:iam::123456789012:role/training"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/slipway-train:1"
Change = Callable[[tarfile.TarInfo], tarfile.TarInfo | None]
REMOTE = Remote(role=ROLE, image=IMAGE, bucket=BUCKET)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\ngood film,positive\nbad film,negative\n")
    return path


@pytest.fixture
def build(rows: Path, tmp_path: Path) -> RemoteBuild:
    content = {"model": "demo", "data": {"path": str(rows)}, "network": {"kind": "pooled"}}
    return RemoteBuild(
        config=BuildConfig.model_validate(content),
        config_path="tiny.toml",
        overrides=["--set", "train.epochs=2"],
        directory=tmp_path / "out",
        console=Console(file=io.StringIO(), width=300),
        remote=REMOTE,
    )


def told(build: RemoteBuild) -> str:
    assert isinstance(build.console.file, io.StringIO)
    return build.console.file.getvalue()


def keys(prefix: str = "") -> set[str]:
    listed = boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return {item["Key"].removeprefix(prefix) for item in listed.get("Contents", [])}


def jobs_in_moto() -> dict[str, Any]:
    return dict(sagemaker_backends[DEFAULT_ACCOUNT_ID][os.environ["AWS_DEFAULT_REGION"]].training_jobs)


def test_a_job_is_submitted_once_and_the_same_command_finds_it(build: RemoteBuild, bucket: str) -> None:
    name, artifact = build_remotely(build, wait=False)
    assert artifact is None
    assert re.fullmatch(r"demo-[0-9a-f]{12}-\d{14}", name)
    assert keys(f"builds/{name}/input/") == {"config/build.toml", "labelled/rows.csv"}
    sent = boto3.client("s3").get_object(Bucket=BUCKET, Key=f"builds/{name}/input/config/build.toml")["Body"].read()
    assert tomllib.loads(sent.decode())["data"]["path"] == "labelled/rows.csv"
    described = TrainingJobs().describe(name)
    assert json.loads(described["HyperParameters"]["overrides"]) == ["--set", "train.epochs=2"]
    assert described["CheckpointConfig"]["S3Uri"] == f"s3://{BUCKET}/builds/{name[:-15]}/checkpoints"
    assert build_remotely(build, wait=False) == (name, None)
    assert "was started before" in told(build)
    other = replace(build, config=build.config.model_copy(update={"model": "other"}))
    assert build_remotely(other, wait=False)[0].startswith("other-")
    assert len(jobs_in_moto()) == 2


def test_an_input_that_is_not_there_is_refused_before_anything_is_uploaded(build: RemoteBuild, bucket: str) -> None:
    Path(build.config.data.path).unlink()
    with pytest.raises(BuildError, match=r"There is no file .*rows.csv"):
        build_remotely(build, wait=False)
    assert keys() == set()


def test_rebuild_starts_another_job(build: RemoteBuild, bucket: str) -> None:
    first, _ = build_remotely(build, wait=False)
    time.sleep(1)  # a name has its second
    assert build_remotely(build, wait=False, rebuild=True)[0] != first
    assert len(jobs_in_moto()) == 2


@pytest.mark.parametrize(
    ("status", "reason", "kind", "words"),
    [
        ("Failed", "AlgorithmError: rows.csv has no usable row, exit code: 1", BuildError, "has no usable row"),
        ("Failed", "AlgorithmError: int8 agreement 0.9 < 0.99, exit code: 3", GateFailed, "agreement"),
        ("Failed", None, BuildError, "no reason"),
        ("Stopped", None, BuildError, "was stopped: MaxRuntimeExceeded"),
    ],
)
def test_a_job_that_ends_badly_is_one_line_with_its_own_reason(
    build: RemoteBuild, bucket: str, status: str, reason: str | None, kind: type[SlipwayError], words: str
) -> None:
    name, _ = build_remotely(build, wait=False)
    job = jobs_in_moto()[name]
    job.training_job_status, job.failure_reason, job.secondary_status = status, reason, "MaxRuntimeExceeded"
    with pytest.raises(kind, match=words) as refusal:
        wait_for(name, TrainingJobs(), lambda _: None)
    assert type(refusal.value) is kind
    assert name in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_each_stage_is_told_once_while_a_job_runs(build: RemoteBuild, bucket: str) -> None:
    name, _ = build_remotely(build, wait=False)
    job = jobs_in_moto()[name]
    job.training_job_status = "InProgress"
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        job.secondary_status_transitions = [
            {"Status": "Starting", "StatusMessage": "Preparing"},
            {"Status": "Training"},
        ]
        if len(lines) == 2:
            job.training_job_status = "Completed"

    location = wait_for(name, TrainingJobs(), tell, seconds=0.01)
    assert lines == ["Starting: Preparing the instances for training", "Training"]
    assert location == f"s3://{BUCKET}/builds/{name}/output/{name}/output/model.tar.gz"


def test_who_stops_waiting_is_told_that_the_job_goes_on(
    build: RemoteBuild, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(remote, "wait_for", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_remotely(build, wait=True)
    assert "goes on" in told(build)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"role": ""}, "needs --role. Give it, or set SLIPWAY_TRAINING_ROLE"),
        ({"image": ""}, "needs --image. Give it, or set SLIPWAY_TRAINING_IMAGE"),
        ({"bucket": ""}, "needs --bucket. Give it, or set SLIPWAY_MODEL_BUCKET"),
        ({"role": "training"}, "--role 'training' is not the ARN of a role"),
        ({"instance_type": "g5.xlarge"}, "--instance-type 'g5.xlarge' does not begin with ml."),
    ],
)
def test_what_aws_would_refuse_later_is_refused_at_once(change: dict[str, str], words: str) -> None:
    with pytest.raises(BuildError) as refusal:
        replace(REMOTE, **change)
    assert words in str(refusal.value)


def test_without_credentials_or_a_region_it_is_one_line(
    build: RemoteBuild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    boto3.setup_default_session()
    with pytest.raises(BuildError, match="no AWS credentials"):
        build_remotely(build, wait=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(BuildError, match="no AWS region"):
        build_remotely(build, wait=False)


def test_a_bucket_that_is_not_there_is_one_line(build: RemoteBuild) -> None:
    with moto.mock_aws(), pytest.raises(BuildError, match=r"Upload .*NoSuchBucket.*Check --bucket"):
        build_remotely(build, wait=False)


def pack(artifact: Path, archive: Path, *, change: Change | None = None) -> Path:
    """As SageMaker packs ``/opt/ml/model`` with one artifact in it."""
    with tarfile.open(archive, "w:gz", compresslevel=1) as content:
        content.add(artifact, artifact.name, filter=change)
    return archive


def test_what_comes_back_is_verified_and_appears_whole_and_once(
    tiny_artifact: Path, build: RemoteBuild, bucket: str, tmp_path: Path
) -> None:
    name, _ = build_remotely(build, wait=False)
    archive = pack(tiny_artifact, tmp_path / "model.tar.gz")
    boto3.client("s3").upload_file(str(archive), BUCKET, f"builds/{name}/output/{name}/output/model.tar.gz")
    for _ in range(2):
        found, artifact = build_remotely(build, wait=True)
        assert found == name
        assert artifact is not None
        verify_files(artifact, read_manifest(artifact))
        assert [path.name for path in build.directory.iterdir()] == [artifact.name]


def without(name: str) -> Change:
    return lambda entry: None if entry.name.endswith(name) else entry


def escaping(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.name = f"../../{entry.name}"
    return entry


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (without("tokenizer.json"), ArtifactError, "tokenizer.json"),
        (without("manifest.json"), BuildError, "holds 0 artifacts"),
        (escaping, BuildError, "cannot be unpacked"),
    ],
)
def test_an_archive_that_holds_no_whole_artifact_is_refused_and_nothing_stays(
    tiny_artifact: Path, bucket: str, tmp_path: Path, change: Any, kind: type[SlipwayError], words: str
) -> None:
    archive = pack(tiny_artifact, tmp_path / "model.tar.gz", change=change)
    boto3.client("s3").upload_file(str(archive), BUCKET, "model.tar.gz")
    with pytest.raises(kind, match=words):
        fetch(f"s3://{BUCKET}/model.tar.gz", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_archive_that_is_torn_or_gone_is_refused(tiny_artifact: Path, bucket: str, tmp_path: Path) -> None:
    content = pack(tiny_artifact, tmp_path / "model.tar.gz").read_bytes()
    boto3.client("s3").put_object(Bucket=BUCKET, Key="torn", Body=content[: len(content) // 2])
    with pytest.raises(BuildError, match="cannot be unpacked"):
        fetch(f"s3://{BUCKET}/torn", tmp_path / "out")
    with pytest.raises(StoreError, match="NoSuchKey"):
        fetch(f"s3://{BUCKET}/gone", tmp_path / "out")
