"""An API that asks for tokens, in a cloud of its own: a real issuer, the authorizer before the API, the client."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local_cloud import LocalCloud, Outputs
from infra.local_cloud.ports import free_port
from slipway.client import Client, Unauthorized, bearer
from slipway.store import Store
from tests.authorize.issuer import AUDIENCE, Issuer, p256_key
from tests.local_cloud.client import get, send

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(keys={"p256": p256_key()}) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, tiny_artifact: Path) -> Iterator[Outputs]:
    cloud = LocalCloud(tmp_path_factory.mktemp("door"), free_port())
    try:
        outputs = cloud.deploy({"auth": "jwt", "jwt_issuer": issuer.url, "jwt_audience": AUDIENCE})
        store = Store(outputs.model_bucket, outputs.model, cloud.client("s3"))
        store.promote(store.publish(tiny_artifact), by="test", why="first")
        yield outputs
    finally:
        cloud.stop()


def test_who_has_a_token_is_answered(door: Outputs, issuer: Issuer) -> None:
    assert door.api_key == ""
    token = issuer.token("p256")
    with Client(door.api_url, model=door.model, credential=bearer(token)) as client:
        assert client.predict("good film").label == "positive"
        assert client.versions()  # another path, by the answer that API Gateway remembers


def test_who_has_none_gets_401_and_the_pages(door: Outputs) -> None:
    answer = get(f"{door.api_url}/v2/health/live")
    assert (answer.status, answer.headers["content-type"]) == (401, "application/problem+json")
    assert "Bearer" in answer.json()["remedy"]
    assert [get(f"{door.api_url}{page}").status for page in ("/", "/docs", "/openapi.json")] == [200] * 3


def test_a_token_for_somebody_else_is_refused_with_a_remedy(door: Outputs, issuer: Issuer) -> None:
    asked = urllib.request.Request(f"{door.api_url}/info", headers=header(issuer.token("p256", aud="billing")))
    answer = send(asked)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert "Bearer" in answer.json()["remedy"]
    assert "reason" in answer.json()  # by a variable of API Gateway's, which the local cloud does not fill in


def test_neither_an_expired_token_nor_a_stranger_s_opens_anything(door: Outputs, issuer: Issuer) -> None:
    with Issuer(keys={"p256": p256_key()}) as stranger:
        for token in (issuer.token("p256", exp=1), stranger.token("p256", iss=issuer.url)):
            with (
                Client(door.api_url, model=door.model, credential=bearer(token)) as client,
                pytest.raises(Unauthorized, match="not one that this API takes"),
            ):
                client.predict("good film")


def header(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
