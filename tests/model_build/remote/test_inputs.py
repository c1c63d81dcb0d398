"""What is local becomes a channel of the job; what is elsewhere stays there."""

from pathlib import Path

import boto3
import pytest

from model_build.config import BuildConfig
from model_build.remote.inputs import plan_inputs, upload_inputs


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\ngood film,positive\nbad film,negative\n")
    return path


def test_local_inputs_become_channels_and_what_is_elsewhere_stays(tmp_path: Path, rows: Path, tiny_base: Path) -> None:
    (tmp_path / "reviews" / "good").mkdir(parents=True)
    (tmp_path / "reviews" / "good" / "1.txt").write_text("a good film")
    content = {
        "model": "demo",
        "data": {"path": str(rows), "unlabelled": str(tmp_path / "reviews"), "where": {"a b": "ü\n"}},
        "network": {"base": str(tiny_base)},
        "student": {"kind": "pooled"},
    }
    config, channels = plan_inputs(BuildConfig.model_validate(content))
    assert config.data.path == "labelled/rows.csv"
    assert config.data.unlabelled == "unlabelled/reviews"
    assert config.network.base == f"base/{tiny_base.name}"
    assert channels == {"labelled": rows, "unlabelled": tmp_path / "reviews", "base": tiny_base}
    assert config.data.where == {"a b": "ü\n"}
    content |= {
        "data": {"path": "s3://b/rows.csv", "unlabelled": str(rows)},
        "network": {"base": "prajjwal1/bert-tiny"},
    }
    config, channels = plan_inputs(BuildConfig.model_validate(content))
    assert (config.data.path, config.network.base) == ("s3://b/rows.csv", "prajjwal1/bert-tiny")
    assert channels == {"unlabelled": rows}
    content["data"] = {"path": str(rows), "unlabelled": str(rows)}
    config, channels = plan_inputs(BuildConfig.model_validate(content))
    assert config.data.unlabelled == config.data.path == "labelled/rows.csv"  # uploaded once
    assert channels == {"labelled": rows}


def test_a_directory_is_uploaded_with_its_tree(tmp_path: Path, bucket: str) -> None:
    for name in ("good/1.txt", "bad/2.txt"):
        (tmp_path / "reviews" / name).parent.mkdir(parents=True)
        (tmp_path / "reviews" / name).write_text("text")
    config = BuildConfig.model_validate(
        {"model": "demo", "data": {"path": "labelled/reviews"}, "network": {"kind": "pooled"}}
    )
    assert upload_inputs(config, {"labelled": tmp_path / "reviews"}, bucket, "x/") == 8
    keys = {item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]}
    assert keys == {"x/config/build.toml", "x/labelled/reviews/good/1.txt", "x/labelled/reviews/bad/2.txt"}
