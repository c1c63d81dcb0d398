"""API Gateway's event for a prediction, and the variables and files that the predict function finds on Lambda."""

import base64
import json
import os
from typing import Any

from benchmarks.peers.worker import environment
from slipway.settings import Settings

HANDLER = "functions.predict.handler.handler"


def predict_event(model: str, texts: list[str]) -> dict[str, Any]:
    """The proxy event of a REST API for ``POST /v1/models/<model>:predict``, with the headers that API Gateway adds."""
    path = f"/v1/models/{model}:predict"
    headers = {
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate",
        "Content-Type": "application/json",
        "Host": "abcdefghij.execute-api.us-east-1.amazonaws.com",
        "User-Agent": "python-requests/2.34.2",
        "X-Amzn-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        "x-api-key": "abcdefghijklmnopqrstuvwxyz0123456789abcd",
    }
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "httpMethod": "POST",
            "path": f"/prod{path}",
            "protocol": "HTTP/1.1",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "resourceId": "123456",
            "resourcePath": "/{proxy+}",
            "stage": "prod",
            "identity": {"sourceIp": "203.0.113.7", "userAgent": "python-requests/2.34.2"},
        },
        "body": base64.b64encode(json.dumps({"instances": texts}).encode()).decode(),
        "isBase64Encoded": True,  # the API takes every body as bytes: see docs/decisions.md
    }


def function_environment(model: str, bucket: str, s3: str) -> dict[str, str]:
    """As Lambda and our CDK app set them, with S3 at the address ``s3``."""
    foreign = ("AWS_", "SLIPWAY_", "POWERTOOLS_", "SSL_CERT_")  # of this machine: certificates would be read twice
    return {name: value for name, value in environment().items() if not name.startswith(foreign)} | {
        **Settings(model=model, model_bucket=bucket).to_env(),
        "POWERTOOLS_SERVICE_NAME": model,
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "AWS_LAMBDA_FUNCTION_NAME": "predict",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": s3,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
