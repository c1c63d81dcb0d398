"""A server on loopback that answers as a test says, and keeps what it was sent."""

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

STAGE = "/prod"
VERSION = "20261123T120000Z-ffffffffffff"


@dataclass(frozen=True)
class Seen:
    """A request as it came; ``connection`` is the port that it came from."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def texts(self) -> list[str]:
        instances: list[str] = json.loads(self.body)["instances"]
        return instances


Behaviour = Callable[[BaseHTTPRequestHandler, Seen], None]


def prediction(text: str) -> dict[str, Any]:
    """An answer that says which text it is for."""
    return {"label": text, "score": 0.75, "scores": {text: 0.75, "other": 0.25}, "tokens": 3, "truncated": False}


def predicts(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
    """What the service does when all is well."""
    members = {"model_version": VERSION, "backend": "cpu-int8"}
    says({"predictions": [prediction(text) for text in seen.texts], **members})(handler, seen)


def says(document: object, status: int = 200, **headers: str) -> Behaviour:
    """A JSON document, or bytes as they are; ``retry_after`` becomes Retry-After."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    def behave(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        handler.send_response(status)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"content-length": str(len(body)), **given}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def then_closes(behaviour: Behaviour) -> Behaviour:
    """Behave so, and close the connection without having said so."""

    def behave(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        behaviour(handler, seen)
        handler.close_connection = True

    return behave


def hangs_up(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
    """Close the connection instead of an answer."""
    handler.close_connection = True


def speaks_otherwise(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
    """An answer that is no HTTP."""
    handler.wfile.write(b"220 smtp.example.com ESMTP\r\n")
    handler.close_connection = True


def resets(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
    """Half an answer, then a TCP reset."""
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"predictions": [')
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.rfile.close()
    handler.connection.close()
    handler.close_connection = True


def waits_for(event: threading.Event, behaviour: Behaviour = predicts) -> Behaviour:
    """Behave so once ``event`` is set."""

    def behave(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        event.wait(20)
        behaviour(handler, seen)

    return behave


@dataclass
class Server:
    """Takes one behaviour of the script for each request, in the order of their coming, then predicts."""

    script: deque[Behaviour] = field(default_factory=deque)
    seen: list[Seen] = field(default_factory=list)
    busiest: int = 0
    _busy: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.was_asked = threading.Event()
        self.httpd = _Silent(("127.0.0.1", 0), _handler(self))
        self.httpd.daemon_threads = True
        self.port = self.httpd.server_port
        self.url = f"http://127.0.0.1:{self.port}{STAGE}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.httpd.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.httpd.shutdown()
        self.httpd.server_close()

    def will(self, *behaviours: Behaviour) -> None:
        self.script.extend(behaviours)

    @property
    def connections(self) -> int:
        return len({seen.connection for seen in self.seen})

    def take(self, seen: Seen) -> Behaviour:
        with self._lock:
            self.seen.append(seen)
            self.was_asked.set()
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
            return self.script.popleft() if self.script else predicts

    def done(self) -> None:
        with self._lock:
            self._busy -= 1


class _Silent(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients that give up are what is tested here."""


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests look at ``seen``."""

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(self.command, self.path, headers, body, self.client_address[1])
            behave = server.take(seen)
            try:
                behave(self, seen)
            finally:
                server.done()

    return Handler
