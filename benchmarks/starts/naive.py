"""The Lambda handler that most people would write. Its model lies on disk, as in an image: nothing is downloaded."""

import base64
import json
import os
from typing import Any

from transformers import pipeline

classify = pipeline("text-classification", model=os.environ["NAIVE_MODEL"])


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Answer one API Gateway event."""
    predictions = classify(json.loads(base64.b64decode(event["body"]))["instances"])
    return {"statusCode": 200, "body": json.dumps({"predictions": predictions})}
