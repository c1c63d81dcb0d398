"""Calls of SageMaker's API, with errors in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from slipway.errors import StoreError

_TRIED = "slipway:tried"


@cache
def sagemaker() -> Any:
    """The client, made at the first call."""
    return boto3.client("sagemaker")


@contextmanager
def refusals(doing: str) -> Iterator[None]:
    """Raise StoreError where SageMaker refuses to be ``doing`` something."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise StoreError(f"SageMaker refused while {doing}: {error}.") from error


def names_with(prefix: str, *, call: str, field: str, name: str) -> list[str]:
    """Names that contain ``prefix`` in what the paginated ``call`` lists, the newest first."""
    pages = sagemaker().get_paginator(call)
    found = pages.paginate(NameContains=prefix, SortBy="CreationTime", SortOrder="Descending")
    return [item[name] for page in found for item in page[field]]


def read_mark(arn: str) -> str:
    """What ``leave_mark`` left, or an empty string."""
    tags = sagemaker().list_tags(ResourceArn=arn)["Tags"]
    return next((str(tag["Value"]) for tag in tags if tag["Key"] == _TRIED), "")


def leave_mark(arn: str, mark: str) -> None:
    """Keep ``mark`` with the resource, as a tag: there is no other place that outlives a function's call."""
    sagemaker().add_tags(ResourceArn=arn, Tags=[{"Key": _TRIED, "Value": mark}])
