"""Every log of a deployed stack, after requests and a file that are full of a text that no log may hold."""

import json
import time
from typing import Any

from infra.local_cloud import LocalCloud, Outputs
from tests.local_cloud.client import get, post, predict

TEXT = "Zx9secretQw"
PATIENCE = 240


def all_logs(cloud: LocalCloud) -> str:
    """What every function of every stack has written."""
    logs: Any = cloud.client("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    pages = [page for group in groups for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)]
    return "\n".join(event["message"] for page in pages for event in page["events"])


def test_no_log_holds_a_text_or_the_key(cloud: LocalCloud, outputs: Outputs, first: str) -> None:
    url, key = outputs.api_url, outputs.api_key
    assert predict(outputs, f"a lovely {TEXT} film").status == 200
    for body in (f'{{"instances": ["{TEXT}"', json.dumps({"instances": [TEXT, 5]}), json.dumps({TEXT: TEXT})):
        assert post(f"{url}/v1/models/demo:predict", body.encode(), key=key).status in (400, 422)
    assert post(f"{url}/v1/models/demo:explain", json.dumps({"instances": [TEXT]}).encode(), key=key).status == 200
    assert get(f"{url}/v1/models/{TEXT}", key=key).status == 404
    s3 = cloud.client("s3")
    rows = [f"a lovely {TEXT} film", TEXT + "\0", f"{TEXT} " * 10]
    s3.put_object(Bucket=outputs.data_bucket, Key="inbox/demo/secret.txt", Body="\n".join(rows).encode() + b"\n\xff\n")
    deadline = time.monotonic() + PATIENCE
    while "outbox/demo/secret.txt/manifest.json" not in _keys(s3, outputs.data_bucket):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    everything = all_logs(cloud)
    assert '"Latency"' in everything
    assert '"refused"' in everything
    assert '"finished"' in everything or '"scored"' in everything, "the batch functions' logs are among them"
    assert [marker for marker in (TEXT, TEXT.lower(), key) if marker in everything] == []


def _keys(s3: Any, bucket: str) -> list[str]:
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="outbox/demo/secret.txt/")
    return [item["Key"] for item in listed.get("Contents", [])]
