"""What a request, a shard and the router ask of AWS: an endpoint's answer, and how many requests there are."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config

from slipway.hosting.calls import refusals

Invoke = Callable[[bytes], bytes]
_CONNECT_SECONDS = 1.0
_CALLS = 4  # at once
_ANSWER_SECONDS = 900  # that a shard may take once its turn has come; it takes seconds


def invoker(endpoint: str, component: str, *, seconds: float) -> Invoke:
    """JSON to JSON through SageMaker's runtime, which has ``seconds`` from the first byte out to the last in.

    Botocore's own bound is on each read: an answer that trickles would pass it for ever, and a name is looked up
    without any. Nothing is tried again: the CPU answers faster. Raises botocore's errors, and TimeoutError.
    """
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=seconds,
        retries={"total_max_attempts": 1},
        max_pool_connections=_CALLS,
    )
    calls = ThreadPoolExecutor(_CALLS, "endpoint")
    client = boto3.client("sagemaker-runtime", config=config)
    where = {"EndpointName": endpoint} | ({"InferenceComponentName": component} if component else {})

    def call(body: bytes) -> bytes:
        kind = "application/json"
        content: bytes = client.invoke_endpoint(**where, Body=body, ContentType=kind, Accept=kind)["Body"].read()
        return content

    def invoke(body: bytes) -> bytes:
        called = calls.submit(call, body)
        try:
            return called.result(seconds)
        except TimeoutError:
            called.cancel()  # where it had not begun, because all calls hang
            raise

    return invoke


def count_requests(api: str, stage: str, *, end: int, seconds: int) -> float:
    """Requests that API Gateway counted in the ``seconds`` (whole minutes) before ``end``, in seconds since 1970."""
    found: dict[str, Any] = boto3.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/ApiGateway",
        MetricName="Count",
        Dimensions=[{"Name": "ApiName", "Value": api}, {"Name": "Stage", "Value": stage}],
        StartTime=datetime.fromtimestamp(end - seconds, UTC),
        EndTime=datetime.fromtimestamp(end, UTC),
        Period=seconds,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in found["Datapoints"]))  # no point where nothing came


def ask_later(endpoint: str, question: str, *, inference_id: str, wait_seconds: int) -> tuple[str, ...]:
    """Let an asynchronous endpoint answer the object with the address ``question``, which holds JSON Lines.

    Returns the addresses under which its answer, or the reason for none, will be. A question that has waited for
    ``wait_seconds`` is forgotten. Throttled calls are tried again. Raises StoreError.
    """
    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5})
    with refusals(f"asking {endpoint}"):
        told = boto3.client("sagemaker-runtime", config=config).invoke_endpoint_async(
            EndpointName=endpoint,
            InputLocation=question,
            InferenceId=inference_id,
            ContentType="application/jsonlines",
            Accept="application/jsonlines",
            RequestTTLSeconds=wait_seconds,
            InvocationTimeoutSeconds=_ANSWER_SECONDS,
        )
    return tuple(filter(None, (told["OutputLocation"], told.get("FailureLocation"))))
