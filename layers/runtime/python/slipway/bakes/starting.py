"""What the command line starts: the workflow of a deployment, found by the bucket and the model. boto3 only here."""

from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from slipway.bakes.plan import Bake
from slipway.errors import StoreError
from slipway.workflows import start_execution


def parameter_name(bucket: str, model: str) -> str:
    """Of Systems Manager's parameter that names the workflow; a deployment writes it."""
    return f"/slipway/{bucket}/{model}/bake"


def find_workflow(bucket: str, model: str, client: Any = None) -> str:
    """The ARN of the workflow that bakes ``model``. Raises StoreError if it has none."""
    try:
        found = (client or boto3.client("ssm")).get_parameter(Name=parameter_name(bucket, model))
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            raise StoreError(
                f"Nothing bakes {model!r} in {bucket}: its deployment has no stack that ends in -bake.",
                remedy="Deploy again (`cdk deploy --all`), or leave --bake out and watch the canary yourself.",
            ) from error
        raise StoreError(f"The workflow that bakes {model!r} cannot be found: {error}.") from error
    except BotoCoreError as error:
        raise StoreError(f"The workflow that bakes {model!r} cannot be found: {error}.") from error
    return str(found["Parameter"]["Value"])


def start(workflow: str, bake: Bake) -> str:
    """Start it; the execution's name. Raises StoreError."""
    name = f"{bake.version}-{bake.at.replace('-', '').replace(':', '').replace('.', '')}"
    start_execution(workflow, name, bake.to_dict())
    return name
