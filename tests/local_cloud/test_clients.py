"""Clients of other servers, as their makers ship them, against the deployed API."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
import tritonclient.http as triton
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from infra.local_cloud import Outputs
from tests.local_cloud.client import predict

TEXTS = ["a superb lovely film", "the plot was awful dull boring", "ein schöner Film 🎉"]


@pytest.fixture
def answers(outputs: Outputs, first: str) -> list[dict[str, float]]:
    """What our own dialect says of the texts: scores by label."""
    return [prediction["scores"] for prediction in predict(outputs, *TEXTS).json()["predictions"]]


@pytest.fixture
def triton_client(outputs: Outputs) -> Iterator[triton.InferenceServerClient]:
    address = urlsplit(outputs.api_url)
    client = triton.InferenceServerClient(url=f"{address.netloc}{address.path}")
    yield client
    client.close()


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_infers(
    triton_client: triton.InferenceServerClient, outputs: Outputs, answers: list[dict[str, float]], binary: bool
) -> None:
    tensor = triton.InferInput("text", [len(TEXTS)], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in TEXTS], np.object_), binary_data=binary)
    key = {"x-api-key": outputs.api_key}
    for wanted in (None, [triton.InferRequestedOutput("label"), triton.InferRequestedOutput("scores")]):
        found = triton_client.infer("demo", [tensor], outputs=wanted, request_id="7", headers=key)
        metadata = triton_client.get_model_metadata("demo", headers=key)
        labels = metadata["parameters"]["labels"]
        expected = [[scores[label] for label in labels] for scores in answers]
        np.testing.assert_allclose(found.as_numpy("scores"), expected, atol=1e-5)
        assert [str(label) for label in found.as_numpy("label")] == [max(s, key=s.__getitem__) for s in answers]
        assert found.get_response()["id"] == "7"


def test_tritonclient_asks_for_health_and_metadata(
    triton_client: triton.InferenceServerClient, outputs: Outputs, first: str
) -> None:
    key = {"x-api-key": outputs.api_key}
    assert triton_client.is_server_live(headers=key)
    assert triton_client.is_server_ready(headers=key)
    assert triton_client.is_model_ready("demo", headers=key)
    assert triton_client.is_model_ready("demo", model_version=first, headers=key)
    assert triton_client.get_server_metadata(headers=key)["name"] == "slipway"


def test_tritonclient_says_what_was_wrong(
    triton_client: triton.InferenceServerClient, outputs: Outputs, first: str
) -> None:
    tensor = triton.InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"a"], np.object_))
    with pytest.raises(triton.InferenceServerException, match=r"inputs\[0\]\.name"):
        triton_client.infer("demo", [tensor], headers={"x-api-key": outputs.api_key})


def test_the_examples_of_tf_serving(outputs: Outputs, first: str, answers: list[dict[str, float]]) -> None:
    """``requests`` as in TensorFlow Serving's tutorials: status, metadata, predict."""
    session = requests.Session()
    session.headers["x-api-key"] = outputs.api_key
    status = session.get(f"{outputs.api_url}/v1/models/demo").json()["model_version_status"]
    assert first in {entry["version"] for entry in status if entry["state"] == "AVAILABLE"}
    signature = session.get(f"{outputs.api_url}/v1/models/demo/metadata").json()["metadata"]["signature_def"]
    assert "text" in signature["signature_def"]["serving_default"]["inputs"]
    body = {"signature_name": "serving_default", "instances": [{"text": text} for text in TEXTS]}
    answer = session.post(f"{outputs.api_url}/v1/models/demo:predict", json=body)
    assert [p["scores"] for p in answer.json()["predictions"]] == [pytest.approx(scores) for scores in answers]


@pytest.mark.parametrize("path", ["/predict", "/"])
def test_huggingface_hub_classifies(outputs: Outputs, answers: list[dict[str, float]], path: str) -> None:
    client = InferenceClient(model=outputs.api_url + path, headers={"x-api-key": outputs.api_key})
    for text, scores in zip(TEXTS, answers, strict=True):
        found = client.text_classification(text)
        assert {element.label: element.score for element in found} == pytest.approx(scores, abs=1e-5)
        (best,) = client.text_classification(text, top_k=1)
        assert best.label == max(scores, key=scores.__getitem__)
    with pytest.raises(HfHubHTTPError):
        client.text_classification("")
