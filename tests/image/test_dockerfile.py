"""What the Dockerfile keeps of botocore is what the functions call: a service more is a word more there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [path for folder in ("layers", "functions") for path in (ROOT / folder).rglob("*.py")]
# Of functions/release and functions/drift: zips, which have Lambda's own boto3.
ELSEWHERE = {"sagemaker", "cloudwatch", "logs"}
DOCKERFILE = (ROOT / "functions/predict/Dockerfile").read_text()


def test_services_that_the_code_calls_are_kept() -> None:
    code = "\n".join(path.read_text() for path in SOURCES)
    called = set(re.findall(r"\b(?:client|resource)\(\s*\"([a-z0-9-]+)\"", code))
    kept = re.findall(r"mv (.+) \.\./\.\./kept", DOCKERFILE)[0].split()
    assert called - ELSEWHERE - set(kept) == set()


def test_base_is_aws_own_unless_told() -> None:
    assert "ARG BASE=public.ecr.aws/lambda/python:3.13\nFROM ${BASE}\n" in DOCKERFILE


def test_services_that_large_batch_jobs_call_are_kept_too() -> None:
    dockerfile = (ROOT / "functions/batch/Dockerfile").read_text()
    kept = re.findall(r"mv (.+) \.\./\.\./kept", dockerfile)[0].split()
    assert {"s3", "sts", "events", "stepfunctions", "sagemaker-runtime"} <= set(kept)
