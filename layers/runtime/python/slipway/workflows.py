"""Step Functions, EventBridge and parameters, as far as we tell them something. boto3 is imported for it alone."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from slipway.errors import StoreError


@cache
def _client(service: str) -> Any:
    try:
        return boto3.client(service)
    except BotoCoreError as error:
        raise StoreError(f"AWS cannot be asked: {error}.", remedy="Check AWS_REGION and AWS_PROFILE.") from error


def start_execution(workflow: str, name: str, document: Mapping[str, Any]) -> bool:
    """Start an execution of the workflow with that ARN; False if there is or was one of that name.

    Names are unique for 90 days after an execution has ended. Raises StoreError.
    """
    client = _client("stepfunctions")
    try:
        client.start_execution(stateMachineArn=workflow, name=name, input=json.dumps(document))
    except client.exceptions.ExecutionAlreadyExists:
        return False
    except (ClientError, BotoCoreError) as error:
        raise StoreError(f"The execution {name} could not be started: {error}.") from error
    return True


def parameter(name: str) -> str | None:
    """A parameter of Systems Manager, in which a deployment names a workflow; None if there is none of that name.

    Raises StoreError.
    """
    client = _client("ssm")
    try:
        return str(client.get_parameter(Name=name)["Parameter"]["Value"])
    except client.exceptions.ParameterNotFound:
        return None
    except (ClientError, BotoCoreError) as error:
        raise StoreError(f"The parameter {name} could not be read: {error}.") from error


def end_task(token: str, document: Mapping[str, Any]) -> bool:
    """Let the step with that token go on with ``document``; False if it waits no longer. Raises StoreError."""
    client = _client("stepfunctions")
    try:
        client.send_task_success(taskToken=token, output=json.dumps(document))
    except (client.exceptions.TaskTimedOut, client.exceptions.TaskDoesNotExist):
        return False
    except (ClientError, BotoCoreError) as error:
        raise StoreError(f"A step that waits could not be told to go on: {error}.") from error
    return True


def announce(source: str, kind: str, detail: Mapping[str, Any]) -> None:
    """Put an event on the account's default bus. Raises StoreError."""
    entry = {"Source": source, "DetailType": kind, "Detail": json.dumps(detail)}
    try:
        answer = _client("events").put_events(Entries=[entry])
    except (ClientError, BotoCoreError) as error:
        raise StoreError(f"The event {kind} could not be sent: {error}.") from error
    if answer.get("FailedEntryCount"):
        raise StoreError(f"The event {kind} could not be sent: {answer['Entries'][0].get('ErrorMessage')}.")
