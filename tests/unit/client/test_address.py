"""Where a key and people's texts may be sent."""

import pytest

from slipway.client import Client, NotSent
from slipway.client.address import check_key, read_url

SECRET = "Zx9secretQw"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://api.example.com/prod/", "https://api.example.com/prod"),
        ("https://API.example.com", "https://api.example.com"),
        ("https://api.example.com:8443/a b", "https://api.example.com:8443/a%20b"),
        ("https://api.example.com:443/a%20b", "https://api.example.com/a%20b"),
        (
            "http://127.0.0.1:4566/_aws/execute-api/4096c39d/local",
            "http://127.0.0.1:4566/_aws/execute-api/4096c39d/local",
        ),
        ("http://[::1]:80/x", "http://[::1]/x"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://demo.localhost", "http://demo.localhost"),
    ],
)
def test_a_url_is_read(url: str, said: str) -> None:
    assert str(read_url(url, allow_http=False)) == said
    assert repr(Client(url, model="demo")) == f"Client({said!r}, model='demo')"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com/prod",
        "ftp://api.example.com",
        "https://",
        "https:///prod",
        "https://a b.example.com",
        "https://exämple.com",
        "https://api.example.com:port",
        "https://api.example.com:99999",
        "https://[::1",
        f"https://user:{SECRET}@api.example.com",
        f"https://api.example.com:{SECRET}",
        f"https://api.example.com/prod?key={SECRET}",
        f"https://api.example.com/prod#{SECRET}",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(NotSent, match="ApiUrl") as caught:
        Client(url, model="demo")
    assert caught.value.field == "url"
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("host", ["api.example.com", "10.0.0.7", "128.0.0.1", "localhost.example.com", "[2001:db8::1]"])
def test_http_is_for_this_machine_unless_it_is_allowed(host: str) -> None:
    with pytest.raises(NotSent, match="allow_http=True"):
        read_url(f"http://{host}/prod", allow_http=False)
    assert not read_url(f"http://{host}/prod", allow_http=True).tls


def test_a_key_from_a_file_ends_with_a_newline() -> None:
    assert check_key("k3y\n") == "k3y"
    assert check_key("") == ""


@pytest.mark.parametrize("key", [f"{SECRET} x", f"{SECRET}\r\nx: y", f"{SECRET}ü"])
def test_a_key_that_no_header_carries_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(NotSent, match="API key") as caught:
        Client("https://api.example.com", model="demo", api_key=key)
    assert SECRET not in str(caught.value)
