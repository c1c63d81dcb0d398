"""An HTTP proxy on loopback that breaks some of the answers: which ones, how many and how is a ``Fault``."""

import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Kind = Literal[
    "status",  # answer ``code`` in S3's XML, or ``body``, and forward nothing
    "hang",  # accept, and say nothing for ``seconds``
    "reset",  # close without an answer, and forward nothing
    "lost",  # forward, then close without an answer
    "lost status",  # forward, then answer ``code``
    "slow",  # forward after ``seconds``
    "truncated",  # half of the body, then close
    "trickle",  # a body that takes ``seconds``
    "corrupt",  # a body of the right length with one bit turned
    "short",  # half of the body, under a Content-Length that fits it
    "etag",  # another ETag
    "garbage",  # no HTTP at all
]
_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}
_CHECKSUMS = re.compile(r"x-amz-checksum-|content-md5", re.I)


@dataclass
class Fault:
    """Breaks ``times`` answers (None: all) to requests that ``path`` is found in, after the first ``skip`` of them;
    ``every`` spares some in between.
    """

    kind: Kind
    path: str = ""
    method: str = ""
    times: int | None = None
    skip: int = 0
    every: int = 1
    code: str = "503 SlowDown"
    seconds: float = 30.0
    body: bytes = b""
    hits: int = field(default=0, init=False)  # answers that were broken
    _seen: int = field(default=0, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def takes(self, method: str, path: str) -> bool:
        """Whether this request's answer is to be broken; counts it."""
        if (self.method and method != self.method) or not re.search(self.path, path):
            return False
        with self._lock:
            self._seen += 1
            due = self._seen > self.skip and (self._seen - self.skip - 1) % self.every == 0
            taken = due and (self.times is None or self.hits < self.times)
            self.hits += taken
            return taken


class Proxy:
    """In front of ``upstream`` (host and port). A context manager: serves between enter and exit."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.faults: list[Fault] = []
        self.over = threading.Event()  # ends what hangs
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def broken(self, *faults: Fault) -> Iterator[None]:
        """The faults, while the block runs."""
        self.over.clear()
        self.faults = [*faults]
        try:
            yield
        finally:
            self.faults = []
            self.over.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever gave up has gone: that is what the proxy is for."""


def _handler_of(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            body = self._body()
            fault = next((each for each in proxy.faults if each.takes(self.command, self.path)), None)
            if fault is None:
                self._reply(*self._forward(body))
            else:
                getattr(self, "_" + fault.kind.replace(" ", "_"))(fault, body)

        do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815  http.server's names

        def _status(self, fault: Fault, _: bytes) -> None:
            number, _, code = fault.code.partition(" ")
            told = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>Fault</Message></Error>".encode()
            kind = "application/json" if fault.body else "application/xml"
            self._reply(int(number), {"Content-Type": kind, "x-amzn-errortype": code}, fault.body or told)

        def _hang(self, fault: Fault, _: bytes) -> None:
            proxy.over.wait(fault.seconds)
            self.close_connection = True

        def _reset(self, *_: object) -> None:
            self.close_connection = True

        def _lost(self, _: Fault, body: bytes) -> None:
            self._forward(body)
            self.close_connection = True

        def _lost_status(self, fault: Fault, body: bytes) -> None:
            self._forward(body)
            self._status(fault, body)

        def _slow(self, fault: Fault, body: bytes) -> None:
            proxy.over.wait(fault.seconds)
            self._reply(*self._forward(body))

        def _truncated(self, _: Fault, body: bytes) -> None:
            status, headers, content = self._forward(body)
            self._head(status, headers, len(content))
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True

        def _trickle(self, fault: Fault, body: bytes) -> None:
            status, headers, content = self._forward(body)
            self._head(status, headers, len(content))
            step = max(1, len(content) // 50)
            for at in range(0, len(content), step):
                self.wfile.write(content[at : at + step])
                self.wfile.flush()
                time.sleep(0 if proxy.over.is_set() else fault.seconds / 50)

        def _corrupt(self, _: Fault, body: bytes) -> None:
            status, headers, content = self._forward(body)
            middle = len(content) // 2
            turned = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :] if content else b""
            self._reply(status, headers, turned)

        def _short(self, _: Fault, body: bytes) -> None:
            status, headers, content = self._forward(body)
            self._reply(status, headers, content[: len(content) // 2])

        def _etag(self, _: Fault, body: bytes) -> None:
            status, headers, content = self._forward(body)
            self._reply(status, {**headers, "ETag": '"00000000000000000000000000000000"'}, content)

        def _garbage(self, *_: object) -> None:
            self.wfile.write(b"\x15\x03\x01\x00\x02\x02\x46")
            self.close_connection = True

        # --- plumbing

        def handle_expect_100(self) -> bool:
            wanted = super().handle_expect_100()
            self.wfile.flush()  # or the client waits a second for it
            return wanted

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(proxy.upstream, timeout=30)
            try:
                headers = {n: v for n, v in self.headers.items() if n.lower() not in ("expect", "connection")}
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                kept = {n: v for n, v in answer.getheaders() if n.lower() not in _HOP and not _CHECKSUMS.match(n)}
                if self.command == "HEAD":
                    kept["Content-Length"] = answer.headers.get("Content-Length", "0")
                return answer.status, kept, answer.read()
            finally:
                connection.close()

        def _reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self._head(status, headers, len(content))
            if self.command != "HEAD":
                self.wfile.write(content)

        def _head(self, status: int, headers: dict[str, str], length: int) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(length), **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler
