"""SageMaker's own client, pointed at the container: what works there works here, by nothing but the address."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.endpoint.process import Endpoint


@pytest.fixture(scope="module")
def runtime(server: Endpoint) -> Iterator[Any]:
    config = Config(retries={"max_attempts": 1}, read_timeout=60)
    client = boto3.client(
        "sagemaker-runtime", endpoint_url=server.url, region_name="eu-central-1", config=config,
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    yield client
    client.close()


def test_invoke_endpoint_gives_answers_and_attributes_back(runtime: Any) -> None:
    answer = runtime.invoke_endpoint(
        EndpointName="slipway",
        ContentType="application/json",
        Accept="application/json",
        CustomAttributes="trace=7",
        Body=json.dumps({"instances": ["a superb lovely moving film", "a boring awful dull film"]}),
    )
    predictions = json.loads(answer["Body"].read())["predictions"]
    assert [each["label"] for each in predictions] == ["positive", "negative"]
    assert (answer["ContentType"], answer["CustomAttributes"]) == ("application/json", "trace=7")


def test_json_lines_and_each_dialect_go_the_same_way(runtime: Any) -> None:
    def ask(body: str, kind: str = "application/json") -> str:
        answer = runtime.invoke_endpoint(EndpointName="slipway", ContentType=kind, Body=body)
        return str(answer["Body"].read().decode())

    text = "a superb lovely moving film"
    assert json.loads(ask(json.dumps({"inputs": text})))[0]["label"] == "positive"
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [text]}
    assert json.loads(ask(json.dumps({"inputs": [tensor]})))["outputs"][0]["data"] == ["positive"]
    lines = ask(f'{{"text": "{text}"}}\n{{"text": "{text}"}}\n', "application/jsonlines").splitlines()
    assert [json.loads(line)["label"] for line in lines] == ["positive"] * 2


def test_a_refusal_comes_through_as_the_models(runtime: Any) -> None:
    with pytest.raises(ClientError) as refused:
        runtime.invoke_endpoint(EndpointName="slipway", ContentType="application/json", Body='{"instances": []}')
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 422
