"""A SageMaker training job: the whole request as a value, and the few calls to AWS, whose errors are one line each."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, TokenRetrievalError

from slipway.errors import BuildError

_GIGABYTE = 10**9
_LEAST_VOLUME = 50  # GB: the image's packages, the work directory, three variants of a model
_REMEDIES = {
    "AccessDenied": "Ask for sagemaker:CreateTrainingJob, DescribeTrainingJob and ListTrainingJobs, iam:PassRole for "
    "the role, and s3:PutObject and s3:GetObject on the bucket.",
    "ExpiredToken": "Your AWS credentials have expired: sign in again, for instance with `aws sso login`.",
    "ResourceLimitExceeded": "Ask for a higher quota of that instance type in Service Quotas, or take another "
    "--instance-type.",
    "ValidationException": "Check --role (SageMaker must be allowed to assume it), --image and --instance-type.",
    "NoSuchBucket": "Check --bucket.",
}


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """What ``job_request`` needs to know. ``channels`` are the names of the directories below ``<folder>/input``.

    ``input_bytes`` is the size of all of them; ``state`` is the S3 URI of the checkpoints, which jobs of the same build
    share, so that a second job goes on where the first one was interrupted.
    """

    name: str
    model: str
    folder: str
    state: str
    channels: Sequence[str]
    input_bytes: int
    role: str
    image: str
    instance_type: str
    hours: float
    spot: bool
    parameters: dict[str, str]


def job_request(spec: JobSpec) -> dict[str, Any]:
    """The arguments of CreateTrainingJob.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
    """
    seconds = round(3600 * spec.hours)
    waiting = {"MaxWaitTimeInSeconds": 2 * seconds} if spec.spot else {}  # for a free instance, and all runs together
    return {
        "TrainingJobName": spec.name,
        "RoleArn": spec.role,
        "AlgorithmSpecification": {
            "TrainingImage": spec.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "dev:score", "Regex": r"dev score ([0-9.]+[0-9])"}],
        },
        "HyperParameters": spec.parameters,
        "InputDataConfig": [_channel(name, f"{spec.folder}/input/{name}/") for name in spec.channels],
        "OutputDataConfig": {"S3OutputPath": f"{spec.folder}/output"},
        "CheckpointConfig": {"S3Uri": spec.state, "LocalPath": "/opt/ml/checkpoints"},
        "ResourceConfig": {
            "InstanceType": spec.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": _LEAST_VOLUME + math.ceil(4 * spec.input_bytes / _GIGABYTE),
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": seconds} | waiting,
        "EnableManagedSpotTraining": spec.spot,
        "RetryStrategy": {"MaximumRetryAttempts": 2},  # after errors of AWS's own; a refusal is not tried again
        "Environment": {"SLIPWAY_JOB": spec.name},
        "Tags": [{"Key": "slipway:model", "Value": spec.model}],
    }


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


class TrainingJobs:
    """The account's training jobs. Every method raises BuildError where AWS refuses."""

    def __init__(self, client: Any = None) -> None:
        with aws_errors("SageMaker"):
            self._sagemaker = client or boto3.client("sagemaker")

    def create(self, request: dict[str, Any]) -> None:
        """Start the job of ``job_request``."""
        with aws_errors(f"CreateTrainingJob {request['TrainingJobName']}"):
            self._sagemaker.create_training_job(**request)

    def describe(self, name: str) -> dict[str, Any]:
        """The answer of DescribeTrainingJob."""
        with aws_errors(f"DescribeTrainingJob {name}"):
            return dict(self._sagemaker.describe_training_job(TrainingJobName=name))

    def newest(self, name_part: str, statuses: Sequence[str]) -> str | None:
        """The job that was created last among those with ``name_part`` in their name and one of ``statuses``."""
        found: list[dict[str, Any]] = []
        with aws_errors("ListTrainingJobs"):
            for status in statuses:
                pages = self._sagemaker.get_paginator("list_training_jobs")
                for page in pages.paginate(NameContains=name_part, StatusEquals=status):
                    found += page["TrainingJobSummaries"]
        return str(max(found, key=lambda job: job["CreationTime"])["TrainingJobName"]) if found else None


@contextmanager
def aws_errors(action: str) -> Iterator[None]:
    """What botocore raises, as a BuildError of one line."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        message = error.response["Error"].get("Message", "")
        remedy = _REMEDIES.get(code.removesuffix("Exception"), _REMEDIES.get(code, ""))
        raise BuildError(f"{action}: AWS answered {code}: {message}", remedy=remedy) from error
    except (NoCredentialsError, TokenRetrievalError) as error:
        raise BuildError(f"{action}: no AWS credentials.", remedy="Sign in to AWS, or set AWS_PROFILE.") from error
    except NoRegionError as error:
        raise BuildError(f"{action}: no AWS region.", remedy="Set AWS_REGION, such as eu-central-1.") from error
    except (BotoCoreError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BuildError(f"{action}: {reason}", remedy="Check the network, AWS_PROFILE and AWS_REGION.") from error
