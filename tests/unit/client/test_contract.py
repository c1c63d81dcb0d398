"""The client before the real service: what one sends the other reads, and what one answers the other understands."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection

import pytest

from functions.predict.routes import Service
from functions.predict.serving import Chosen
from functions.predict.shadowing import Shadowing
from slipway.client import Client, NotSent, RequestRefused, Unauthorized
from slipway.errors import UnknownResource
from slipway.predictor import Predictor
from slipway.releases import new_live
from slipway.settings import Settings
from tests.browser.gateway import KEY, STAGE, Gateway

NO_KEY = json.dumps({"status": 403, "detail": "The API key is missing.", "remedy": "Send the header x-api-key."})
GOOD, BAD = "a lovely superb moving film", "a boring awful dull film"


class _OneModel:
    """What the service asks of its models, with one version of one model."""

    refused = {"20250101T000000Z-000000000000": "model.int8.onnx is damaged."}  # noqa: RUF012 - never written

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def get(self, name: str) -> "_OneModel":
        if name != "demo":
            raise UnknownResource("There is no such model.", field="model", remedy="Ask for demo.")
        return self

    def choose(self, request_id: str) -> Chosen:
        version = self._predictor.manifest.version
        live = new_live(version, "promote", by="test", why="", after=None)
        return Chosen(self._predictor, "live", live, self._predictor)

    def version(self, version: str) -> Predictor:
        if version not in ("live", self._predictor.manifest.version):
            raise UnknownResource("There is no such version.", field="version")
        return self._predictor

    def shadow(self, request_id: str) -> None:
        return None

    def states(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(self._predictor.manifest.version, ("live",))]


@pytest.fixture(scope="module")
def gateway(predictor: Predictor) -> Iterator[Gateway]:
    settings = replace(Settings(model="demo", model_bucket="none"), max_request_tokens=60)
    gateway = Gateway(Service(settings, _OneModel(predictor), Shadowing(lambda *_: None)), NO_KEY)  # type: ignore[arg-type]
    yield gateway
    gateway.close()


@pytest.fixture
def demo(gateway: Gateway) -> Iterator[Client]:
    gateway.reset()
    with Client(gateway.origin + STAGE, model="demo", api_key=KEY) as client:
        yield client


def test_a_prediction(demo: Client, predictor: Predictor) -> None:
    found = demo.predict(GOOD)
    (expected,) = predictor.predict([GOOD])
    assert (found.label, found.model_version, found.backend) == ("positive", predictor.manifest.version, "cpu-int8")
    assert [*found.scores.values()] == sorted(expected.probabilities.tolist(), reverse=True)
    assert (found.score, found.tokens, found.truncated) == (found.scores["positive"], 7, False)


def test_parameters(demo: Client) -> None:
    assert demo.predict("film plot", abstain_below=1.0).abstained
    found = demo.predict(GOOD, top_k=1, raw_scores=True, truncate="windows", version="live")
    assert found.score != demo.predict(GOOD).score
    assert [*found.scores] == ["positive"]
    with pytest.raises(RequestRefused, match="not a known field") as caught:
        demo.predict(GOOD, in_flight=3)  # type: ignore[call-arg]
    assert caught.value.field == "parameters.in_flight"


def test_more_texts_than_the_service_computes_in_one_request(demo: Client, gateway: Gateway) -> None:
    texts = [GOOD, BAD, BAD] * 12
    assert [each.label for each in demo.predict_many(texts)] == ["positive", "negative", "negative"] * 12
    assert len(gateway.seen) > 5


def test_a_text_that_is_too_long_under_the_strict_policy(demo: Client) -> None:
    texts = [GOOD, GOOD, "filler1 " * 40]
    with pytest.raises(RequestRefused) as caught:
        list(demo.predict_many(texts, truncate="error"))
    assert (caught.value.status, caught.value.row, caught.value.field) == (422, 2, "instances[2]")


def test_an_explanation(demo: Client) -> None:
    text = "film 🎉 lovely"
    found = demo.explain(text)
    assert (found.about, found.prediction.label) == ("positive", "positive")
    assert [word.text for word in found.words] == ["film", "🎉", "lovely"]
    assert all(text[word.start : word.end] == word.text for word in found.words)
    assert max(found.words, key=lambda word: word.weight).text == "lovely"


def test_an_explanation_that_would_take_too_long(demo: Client) -> None:
    with pytest.raises(RequestRefused, match="Explain a shorter part") as caught:
        demo.explain("film " * 20)
    assert caught.value.status == 413


def test_versions(demo: Client, predictor: Predictor) -> None:
    live, refused = demo.versions()
    assert (live.version, live.labels, live.available) == (predictor.manifest.version, ("live",), True)
    assert (refused.available, refused.reason) == (False, "model.int8.onnx is damaged.")


def test_refusals(demo: Client, gateway: Gateway) -> None:
    with pytest.raises(RequestRefused) as caught:
        demo.predict(GOOD, version="20250101T000000Z-000000000000")
    assert (caught.value.status, caught.value.field) == (404, "version")
    assert caught.value.instance.startswith("urn:uuid:")
    with Client(gateway.origin + STAGE, model="demo") as stranger, pytest.raises(Unauthorized):
        stranger.predict(GOOD)


@pytest.mark.parametrize("text", [" ", "\ud83d"])
def test_what_the_client_refuses_the_service_would_refuse_too(demo: Client, gateway: Gateway, text: str) -> None:
    with pytest.raises(NotSent):
        demo.predict(text)
    headers = {"Content-Type": "application/json", "x-api-key": KEY}
    with closing(HTTPConnection(gateway.origin.removeprefix("http://"), timeout=20)) as connection:
        body = json.dumps({"instances": [text]})
        connection.request("POST", f"{STAGE}/v1/models/demo:predict", body, headers)
        answer = connection.getresponse()
        answer.read()
    assert answer.status == 422
