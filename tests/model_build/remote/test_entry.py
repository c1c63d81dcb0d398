"""The image's program in a directory laid out as SageMaker lays out ``/opt/ml``."""

import json
import os
from pathlib import Path

import boto3
import moto
import pytest

from model_build.config import BuildConfig, read_config
from model_build.remote import entry as remote_entry
from model_build.remote.inputs import plan_inputs, upload_inputs
from slipway.artifact import read_manifest, verify_files
from slipway.errors import BuildError, GateFailed, SlipwayError
from tests.conftest import BUCKET


@pytest.fixture(scope="module")
def opt_ml(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``/opt/ml`` after a build: a base model and data in their channels, as ``plan_inputs`` put them there."""
    root = tmp_path_factory.mktemp("opt") / "ml"
    lay_out(root, read_config(tiny_config))
    before = Path.cwd()
    try:
        assert remote_entry.main(root) == 0
    finally:
        os.chdir(before)
    return root


def lay_out(root: Path, asked: BuildConfig) -> None:
    """As SageMaker does: each channel's objects below ``input/data``, and the parameters as JSON."""
    with moto.mock_aws():
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]}
        )
        upload_inputs(*plan_inputs(asked), BUCKET, "")
        for item in boto3.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]:
            key = item["Key"]
            (root / "input/data" / key).parent.mkdir(parents=True, exist_ok=True)
            boto3.client("s3").download_file(BUCKET, key, str(root / "input/data" / key))
    (root / "model").mkdir()
    (root / "input/config").mkdir()
    parameters = {"config_path": "tiny.toml", "overrides": json.dumps(["--set", "train.epochs=4"])}
    (root / "input/config/hyperparameters.json").write_text(json.dumps(parameters))


def test_the_program_builds_a_whole_artifact_where_sagemaker_looks_for_it(opt_ml: Path) -> None:
    (artifact,) = (opt_ml / "model").iterdir()
    manifest = read_manifest(artifact)
    verify_files(artifact, manifest)
    assert artifact.name == manifest.version
    assert manifest.model == "demo"
    assert "tiny.toml" in (artifact / "card.md").read_text()
    assert not list((opt_ml / "checkpoints/demo").glob(".work-*"))
    assert not (opt_ml / "output/failure").exists()


def test_an_artifact_that_was_made_just_before_an_interruption_is_not_made_again(
    opt_ml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (artifact,) = (opt_ml / "model").iterdir()
    artifact.rename(opt_ml / "checkpoints/demo" / artifact.name)
    monkeypatch.setattr("model_build.pipeline.build", None)
    assert remote_entry.main(opt_ml) == 0
    assert [path.name for path in (opt_ml / "model").iterdir()] == [artifact.name]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BuildError("rows.csv has\nno row.", remedy="Add some."), 1, b"rows.csv has no row. Add some."),
        (GateFailed("agreement 0.9"), 3, b"agreement 0.9"),
        (BuildError("long " * 1000), 1, b"long " * 204 + b"long"),
    ],
)
def test_a_refusal_is_written_where_sagemaker_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: SlipwayError, code: int, line: bytes
) -> None:
    def refuse(_: Path) -> Path:
        raise error

    monkeypatch.setattr(remote_entry, "build_in", refuse)
    assert remote_entry.main(tmp_path) == code
    assert (tmp_path / "output/failure").read_bytes() == line


def test_a_bug_is_written_there_too_and_its_traceback_is_in_the_log(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        remote_entry.main(tmp_path)
    assert b"FileNotFoundError" in (tmp_path / "output/failure").read_bytes()


def test_data_that_cannot_be_learnt_from_ends_the_job_with_exit_code_1(
    tmp_path: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path / "ml", read_config(tiny_config))
    (tmp_path / "ml/input/data/labelled/rows.jsonl").write_text('{"text": "alone", "label": "good"}\n')
    assert remote_entry.main(tmp_path / "ml") == 1
    assert b"needs at least two" in (tmp_path / "ml/output/failure").read_bytes()


@pytest.mark.parametrize(
    ("gpus", "asked", "processes", "batch"),
    [(0, 1, 1, 32), (1, 1, 1, 32), (4, 1, 4, 8), (3, 1, 3, 11), (4, 2, 2, 32)],
)
def test_every_gpu_gets_a_process_and_its_share_of_the_batch(gpus: int, asked: int, processes: int, batch: int) -> None:
    content = {"model": "demo", "data": {"path": "rows.csv"}, "network": {"kind": "pooled"}}
    config = BuildConfig.model_validate(content | {"train": {"processes": asked}})
    spread = remote_entry.spread(config, gpus=gpus)
    assert (spread.train.processes, spread.train.batch_size) == (processes, batch)
    assert spread.distil.batch_size == (config.distil.batch_size if processes != gpus or gpus < 2 else -(-64 // gpus))
