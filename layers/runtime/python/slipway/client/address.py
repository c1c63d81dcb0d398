"""Where the API is, and what may be sent there."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from slipway.client.errors import NotSent

_REMEDY = "Give the ApiUrl that the deployment printed, stage included."


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of the API's URL; ``prefix`` is the path before ``/v1``, without a slash at its end."""

    tls: bool
    host: str
    port: int
    prefix: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == (443 if self.tls else 80) else f":{self.port}"
        return f"{'https' if self.tls else 'http'}://{host}{port}{self.prefix}"


def read_url(url: str, *, allow_http: bool) -> Address:
    """Raises NotSent, without the URL, which may hold a password, for what is no plain URL of an API.

    TLS is asked for, except to this machine itself or if ``allow_http``: an API key and people's texts are sent.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _unusable("cannot be read") from None  # the cause may quote it
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", host):
        raise _unusable("does not start with https:// and the name of a host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise _unusable("has a user, a query or a fragment")
    tls = parts.scheme == "https"
    if not (tls or allow_http or is_loopback(host)):
        raise _unusable("is http://, where everybody on the way can read", "Use https://, or allow_http=True.")
    return Address(tls, host, port or (443 if tls else 80), quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;="))


def check_key(key: str) -> str:
    """The key without space around it, as a file ends with. Raises NotSent, without the key, for what is no header."""
    if not re.fullmatch(r"[!-~]*", key.strip()):
        raise NotSent("The API key has a character that no key has.", field="api_key", remedy="Copy it again.")
    return key.strip()


def check_request_id(request_id: str) -> str:
    """Raises NotSent for what no header carries."""
    if not re.fullmatch(r"[!-~]{1,128}", request_id):
        raise NotSent(
            "The request id cannot be sent as a header.",
            field="request_id",
            remedy="Give 1 to 128 ASCII characters without spaces.",
        )
    return request_id


def is_loopback(host: str) -> bool:
    """Whether it is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _unusable(why: str, remedy: str = _REMEDY) -> NotSent:
    return NotSent(f"The URL {why}.", field="url", remedy=remedy)
