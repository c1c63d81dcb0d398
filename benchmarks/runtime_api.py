"""The Lambda Runtime API on loopback, for one function and one event: notes when the answer comes.

The protocol: AWS Lambda developer guide, "Using the Lambda runtime API for custom runtimes".
"""

import json
import queue
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_PREFIX = "/2018-06-01/runtime"
_ARN = "arn:aws:lambda:us-east-1:123456789012:function:predict"


class FunctionFailed(RuntimeError):
    """The function did not answer, or reported an error."""


class RuntimeApi:
    """Has one event to hand out. A context manager: serves between enter and exit.

    Each function gets an API of its own: a poll of one that was killed would take the next one's event.
    """

    def __init__(self, event: Any) -> None:
        self.events: queue.Queue[Any] = queue.Queue()
        self.events.put(event)
        self._answers: queue.Queue[tuple[float, str, Any]] = queue.Queue()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.events.put(None)  # ends a long poll that is still open
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """What ``AWS_LAMBDA_RUNTIME_API`` holds."""
        return f"127.0.0.1:{self._server.server_port}"

    def settle(self, at: float, kind: str, document: Any) -> None:
        """The function has answered, or reported an error."""
        self._answers.put((at, kind, document))

    def answer(self, seconds: float) -> tuple[float, Any] | None:
        """When the answer began to arrive (``time.perf_counter``), and the answer; None if none came.

        Raises FunctionFailed with the error that the function reported.
        """
        try:
            at, kind, document = self._answers.get(timeout=seconds)
        except queue.Empty:
            return None
        if kind != "response":
            raise FunctionFailed(json.dumps(document)[:500])
        return at, document


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A function that is killed drops its connection."""


def _handler_of(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # the runtime client keeps its connection
        wbufsize = -1  # head and body in one packet

        def do_GET(self) -> None:
            event = api.events.get()
            if event is None:
                self.close_connection = True
            else:
                self._reply(200, event, _invocation_headers())

        def do_POST(self) -> None:
            at = time.perf_counter()
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            api.settle(at, self.path.rpartition("/")[2], document)
            self._reply(202, {"status": "OK"}, {})

        def _reply(self, status: int, document: Any, headers: dict[str, str]) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    return Handler


def _invocation_headers() -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
        "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 60) * 1000)),
        "Lambda-Runtime-Invoked-Function-Arn": _ARN,
        "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
    }
