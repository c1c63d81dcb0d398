"""An OpenID Connect issuer on loopback with keys of its own, which signs whatever a test wants signed."""

import base64
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

AUDIENCE = "classifier"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def encode(content: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def dump(document: object) -> str:
    return encode(json.dumps(document).encode())


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def p256_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def jwk(key: PrivateKey, key_id: str, **members: object) -> dict[str, Any]:
    """The public half, as a set of keys has it."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        public = {"kty": "RSA", "n": _number(numbers.n, 256), "e": _number(numbers.e, 3)}
    else:
        point = key.public_key().public_numbers()
        public = {"kty": "EC", "crv": "P-256", "x": _number(point.x, 32), "y": _number(point.y, 32)}
    return {**public, "kid": key_id, "use": "sig", **members}


def sign(key: PrivateKey, header: Mapping[str, object], claims: object) -> str:
    """A token, whatever its header says."""
    signed = f"{dump(header)}.{dump(claims)}"
    return f"{signed}.{encode(_signature(key, signed.encode()))}"


def _signature(key: PrivateKey, signed: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _number(value: int, size: int) -> str:
    return encode(value.to_bytes(max(size, (value.bit_length() + 7) // 8), "big"))


@dataclass
class Issuer:
    """``keys`` are published by their ids; ``asked`` has the requests; ``answers`` overrides what a path says."""

    keys: dict[str, PrivateKey] = field(default_factory=lambda: {"rsa": rsa_key(), "p256": p256_key()})
    answers: dict[str, tuple[int, object]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def claims(self, **changes: object) -> dict[str, object]:
        """Those of a good token; a change to None takes one away."""
        now = time.time()
        all_ = {"iss": self.url, "aud": AUDIENCE, "sub": "team-7", "iat": now, "exp": now + 300, **changes}
        return {name: value for name, value in all_.items() if value is not None}

    def token(self, key_id: str = "rsa", **changes: object) -> str:
        key = self.keys[key_id]
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        return sign(key, {"alg": algorithm, "typ": "JWT", "kid": key_id}, self.claims(**changes))

    def document(self, path: str) -> tuple[int, object]:
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            return 200, {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if path == "/keys":
            return 200, {"keys": [jwk(key, key_id) for key_id, key in self.keys.items()]}
        return 404, {}


def _handler(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            status, document = issuer.document(self.path)
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests look at ``asked``."""

    return Handler
