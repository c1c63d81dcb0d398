"""API Gateway's part on loopback: HTTP to REST proxy events and back, behind a stage and a key."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from functions.predict.routes import Service

STAGE = "/dev"
KEY = "k3y-of-the-usage-plan"
OPEN = {"/", "/docs", "/openapi.json"}


@dataclass(frozen=True)
class Reply:
    """What goes back over HTTP."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    @classmethod
    def of(cls, document: object, status: int = 200, **headers: str) -> "Reply":
        """A JSON document, a problem if it was refused; ``retry_after`` becomes Retry-After."""
        kind = "application/json" if status < 400 else "application/problem+json"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, json.dumps(document).encode(), {"Content-Type": kind, **named})


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


class Gateway:
    """The real ``Service`` behind HTTP. ``seen`` has every request; tests may stand in for it, or hold it up."""

    def __init__(self, service: Service, refusal: str) -> None:
        self.seen: list[Seen] = []
        self._service = service
        self._refusal = refusal
        self._stand_ins: dict[str, Reply] = {}
        self._held: dict[str, threading.Event] = {}
        self._turn = threading.Lock()  # a Lambda function answers one request at a time
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="gateway", daemon=True).start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """The playground's address."""
        return f"{self.origin}{STAGE}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        """Forget what a test arranged."""
        for event in self._held.values():
            event.set()
        self._held.clear()
        self._stand_ins.clear()
        self.seen.clear()

    def stand_in(self, ending: str, reply: Reply) -> None:
        """Answer requests whose path ends so with ``reply``, whatever the service would say."""
        self._stand_ins[ending] = reply

    def no_stand_ins(self) -> None:
        self._stand_ins.clear()

    @contextmanager
    def holding(self, phrase: str) -> Iterator[None]:
        """Keep requests whose path or body has ``phrase`` waiting until the block ends."""
        event = self._held[phrase] = threading.Event()
        try:
            yield
        finally:
            event.set()

    def paths(self, ending: str = "") -> list[str]:
        return [seen.path for seen in self.seen if seen.path.endswith(ending)]

    def await_paths(self, ending: str, count: int) -> None:
        """Wait until ``count`` requests for such a path have come."""
        until = time.monotonic() + 10
        while len(self.paths(ending)) < count:
            assert time.monotonic() < until, f"{count} requests for {ending}: {self.paths()}"
            time.sleep(0.01)

    def ask(self, path: str, document: object) -> Any:
        """What the API answers to anybody else."""
        headers = {"x-api-key": KEY, "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(document).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def answer(self, seen: Seen) -> Reply:
        """What API Gateway answers: its own refusal, or the function's answer."""
        self.seen.append(seen)
        path = (seen.path.removeprefix(STAGE) or "/").partition("?")[0]
        if not seen.path.startswith(STAGE):
            return Reply.of({"message": "Forbidden"}, 403)
        for phrase, event in [*self._held.items()]:
            if phrase in seen.path + seen.body:
                event.wait(20)
        for ending, reply in self._stand_ins.items():
            if path.endswith(ending):
                return reply
        if path not in OPEN and seen.headers.get("x-api-key") != KEY:
            return Reply(403, self._refusal.encode(), {"Content-Type": "application/problem+json"})
        with self._turn:
            return _reply(self._service.handle(_event(seen, path)))


def _event(seen: Seen, path: str) -> dict[str, Any]:
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": seen.method,
        "headers": dict(seen.headers),
        "multiValueHeaders": {name: [value] for name, value in seen.headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "requestId": str(uuid4()),
            "stage": STAGE.lstrip("/"),
            "path": STAGE + path,
            "httpMethod": seen.method,
        },
        "body": seen.body or None,
        "isBase64Encoded": False,
    }


def _reply(response: dict[str, Any]) -> Reply:
    return Reply(response["statusCode"], response["body"].encode(), response["headers"])


def _handler(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests look at ``seen``."""

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = gateway.answer(Seen(self.command, self.path, headers, body))
            try:
                self.send_response(reply.status)
                for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)
            except OSError:  # a request that the page has given up
                self.close_connection = True

    return Handler
