"""What a request carries for the API to know its caller: keys, tokens, signatures; and never in an error."""

import hashlib
import hmac
import re
from collections.abc import Callable
from itertools import count

import pytest

from slipway.client import Client, ClientError, NotSent, Patience, Unauthorized, bearer, signature
from tests.unit.client.conftest import KEY
from tests.unit.client.server import Server, says

TOKEN = "eyJh.eyJz.c2ln"
SECRET = "wJalrXUtnFEMI"
Connect = Callable[..., Client]


def test_a_key_is_sent_as_a_key_and_a_token_as_a_bearer_token(server: Server, connect: Connect) -> None:
    connect().predict("a")
    connect(api_key="", credential=bearer(f" {TOKEN}\n")).predict("b")
    key, token = (seen.headers for seen in server.seen)
    assert (key["x-api-key"], key.get("authorization")) == (KEY, None)
    assert (token.get("x-api-key"), token["authorization"]) == (None, f"Bearer {TOKEN}")


def test_a_function_is_asked_for_a_token_before_every_try(server: Server, connect: Connect) -> None:
    numbers = count(1)
    client = connect(api_key="", credential=bearer(lambda: f"a.b.{next(numbers)}"), patience=Patience(retries=2))
    server.will(says({}, 503), says({}, 503))
    client.predict("a")
    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer a.b.{n}" for n in (1, 2, 3)]


def test_tokens_come_from_the_environment_too(server: Server) -> None:
    variables = {"SLIPWAY_URL": server.url, "SLIPWAY_MODEL": "demo", "SLIPWAY_TOKEN": TOKEN}
    with Client.from_env(variables) as client:
        client.predict("a")
    assert server.seen[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("token", ["opaque", "a.b", "a.b.c\r\nx-evil: 1", "a.b.ç", "Bearer a.b.c"])
def test_what_is_no_token_is_not_sent_and_not_quoted(server: Server, connect: Connect, token: str) -> None:
    with pytest.raises(NotSent, match="no JSON Web Token") as refused:
        bearer(token)
    with pytest.raises(NotSent, match="no JSON Web Token"):
        connect(api_key="", credential=bearer(lambda: token)).predict("a")
    assert token not in str(refused.value)
    assert server.seen == []


def test_of_two_credentials_none_is_sent(connect: Connect) -> None:
    with pytest.raises(NotSent, match="two credentials"):
        connect(credential=bearer(TOKEN))


def test_a_token_that_is_refused_is_in_no_error(server: Server, connect: Connect) -> None:
    server.will(says({"detail": "The token is not one that this API takes.", "remedy": "Get one."}, 401))
    with pytest.raises(Unauthorized) as refused:
        connect(api_key="", credential=bearer(TOKEN)).predict("a")
    assert refused.value.status == 401
    assert TOKEN not in repr(refused.value) + str(refused.value.__notes__)


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")


def test_the_signature_is_what_the_service_computes_itself(server: Server, connect: Connect, identity: None) -> None:
    connect(api_key="", credential=signature("eu-central-1")).predict("Ünïcödé")
    (seen,) = server.seen
    assert seen.headers["x-amz-security-token"] == "session"
    form = r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/(\d{8})/\S+, SignedHeaders=(\S+), Signature=(\w+)"
    day, names, signed = re.fullmatch(form, seen.headers["authorization"]).groups()  # type: ignore[union-attr]
    headers = "".join(f"{name}:{seen.headers[name]}\n" for name in names.split(";"))
    digest = hashlib.sha256(seen.body).hexdigest()
    path = seen.path.replace(":", "%3A")
    request = hashlib.sha256(f"POST\n{path}\n\n{headers}\n{names}\n{digest}".encode()).hexdigest()
    scope = f"{day}/eu-central-1/execute-api/aws4_request"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{seen.headers['x-amz-date']}\n{scope}\n{request}"
    assert hmac.new(key, text.encode(), "sha256").hexdigest() == signed


def test_the_region_is_read_from_the_api_s_own_name(server: Server, connect: Connect, identity: None) -> None:
    url = "https://a1b2.execute-api.ap-south-2.amazonaws.com/prod/v1/models/demo"
    assert "/ap-south-2/execute-api/" in signature()("GET", url, b"")["Authorization"]
    with pytest.raises(NotSent, match="region"):
        connect(api_key="", credential=signature()).predict("a")
    assert server.seen == []


def test_without_an_identity_nothing_is_sent(server: Server, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ClientError, match="no AWS credentials"):
        connect(api_key="", credential=signature("eu-central-1")).predict("a")
    assert server.seen == []
