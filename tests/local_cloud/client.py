"""The deployed API as a caller sees it: HTTP and nothing else."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from typing import Any

from infra.local_cloud import Outputs


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def get(url: str, *, key: str = "") -> Answer:
    return send(urllib.request.Request(url, headers={"x-api-key": key} if key else {}))


def post(url: str, body: bytes, *, key: str, content_type: str = "application/json") -> Answer:
    return send(urllib.request.Request(url, body, {"x-api-key": key, "content-type": content_type}))


def predict(outputs: Outputs, *texts: str, version: str = "") -> Answer:
    versioned = f"/versions/{version}" if version else ""
    url = f"{outputs.api_url}/v1/models/{outputs.model}{versioned}:predict"
    return post(url, json.dumps({"instances": texts}).encode(), key=outputs.api_key)


def send(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return Answer(status=response.status, headers=response.headers, body=response.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(status=refused.code, headers=refused.headers, body=refused.read())
