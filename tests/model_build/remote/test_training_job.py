"""The whole request, and moto's and botocore's word on it."""

from dataclasses import replace

import pytest

from model_build.remote.training_job import JobSpec, TrainingJobs, job_request
from slipway.errors import BuildError

ROLE = "arn:aws:iam::123456789012:role/training"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/slipway-train:1"
SPEC = JobSpec(
    name="demo-0123456789ab-20261123101500",
    model="demo",
    folder="s3://models-bucket/builds/demo-0123456789ab-20261123101500",
    state="s3://models-bucket/builds/demo-0123456789ab/checkpoints",
    channels=["config", "labelled"],
    input_bytes=1_500_000_000,
    role=ROLE,
    image=IMAGE,
    instance_type="ml.g5.xlarge",
    hours=2,
    spot=True,
    parameters={"config_path": "configs/demo.toml", "overrides": "[]"},
)
REQUEST = {
    "TrainingJobName": "demo-0123456789ab-20261123101500",
    "RoleArn": ROLE,
    "AlgorithmSpecification": {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "dev:score", "Regex": "dev score ([0-9.]+[0-9])"}],
    },
    "HyperParameters": {"config_path": "configs/demo.toml", "overrides": "[]"},
    "InputDataConfig": [
        {
            "ChannelName": name,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"s3://models-bucket/builds/demo-0123456789ab-20261123101500/input/{name}/",
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
            "InputMode": "File",
        }
        for name in ("config", "labelled")
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://models-bucket/builds/demo-0123456789ab-20261123101500/output"},
    "CheckpointConfig": {
        "S3Uri": "s3://models-bucket/builds/demo-0123456789ab/checkpoints",
        "LocalPath": "/opt/ml/checkpoints",
    },
    "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 56},
    "StoppingCondition": {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 14400},
    "EnableManagedSpotTraining": True,
    "RetryStrategy": {"MaximumRetryAttempts": 2},
    "Environment": {"SLIPWAY_JOB": "demo-0123456789ab-20261123101500"},
    "Tags": [{"Key": "slipway:model", "Value": "demo"}],
}


def test_the_whole_request_and_that_botocore_takes_it(bucket: str) -> None:
    assert job_request(SPEC) == REQUEST
    TrainingJobs().create(job_request(SPEC))
    described = TrainingJobs().describe(SPEC.name)
    assert described["RoleArn"] == ROLE
    assert described["HyperParameters"] == REQUEST["HyperParameters"]
    assert described["EnableManagedSpotTraining"] is True


def test_without_spot_nobody_waits_for_spare_capacity(bucket: str) -> None:
    request = job_request(replace(SPEC, spot=False))
    assert request["EnableManagedSpotTraining"] is False
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200}
    TrainingJobs().create(request)


def test_a_request_that_botocore_refuses_is_one_line(bucket: str) -> None:
    with pytest.raises(BuildError, match=r"CreateTrainingJob .*VolumeSizeInGB") as refusal:
        TrainingJobs().create(REQUEST | {"ResourceConfig": {"VolumeSizeInGB": "large"}})
    assert "\n" not in str(refusal.value)
