"""A deployment asks which version is live: the answer to CloudFormation's custom resource.

The template cannot name the version: the next deployment would take every promotion since then back.
"""

import json
import logging
from typing import Any

import urllib3

from functions.release.version import servable
from slipway.errors import SlipwayError
from slipway.settings.release import ReleaseSettings
from slipway.store import Store

logger = logging.getLogger()
logger.setLevel(logging.INFO)
settings = ReleaseSettings.from_env()
_COPIED = ("StackId", "RequestId", "LogicalResourceId")


def handler(event: dict[str, Any], _: object) -> None:
    """Answer at the address in the event; what is refused ends the deployment with the reason in words.

    Other errors are raised: Lambda tries twice more, and then CloudFormation gives up by its own time-out.
    """
    try:
        data = {} if event["RequestType"] == "Delete" else _live()
        answer = {"Status": "SUCCESS", "Data": data}
    except SlipwayError as error:
        logger.warning("refused", extra={"reason": str(error)})
        answer = {"Status": "FAILED", "Reason": str(error)}
    # Always the same: another one would make CloudFormation "delete" the former resource.
    answer |= {"PhysicalResourceId": f"live-version-of-{settings.model}", **{key: event[key] for key in _COPIED}}
    _send(event["ResponseURL"], answer)


def _live() -> dict[str, str]:
    """``Version``, and ``Name``: the same as a part of a SageMaker name, in lower case as its ARN will be."""
    store = Store(settings.model_bucket, settings.model, trusted_keys=settings.trusted_keys)
    version = servable(store).version
    return {"Version": version, "Name": version.lower()}


def _send(url: str, answer: dict[str, Any]) -> None:
    # The address is presigned without a content type.
    body = json.dumps(answer)
    done = urllib3.request("PUT", url, body=body, headers={"Content-Type": ""}, timeout=10.0, retries=3)
    if done.status >= 300:
        raise RuntimeError(f"CloudFormation did not take the answer: HTTP {done.status}.")
