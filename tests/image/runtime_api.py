"""A server of the Lambda Runtime API on loopback: hands events to a runtime client and collects its answers.

The protocol: AWS Lambda developer guide, "Using the Lambda runtime API for custom runtimes".
"""

import json
import queue
import sys
import threading
import time
import uuid
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

PREFIX = "/2018-06-01/runtime"
TIMEOUT_SECONDS = 29  # API Gateway's own
Json = Any  # what json.loads gives


class FunctionFailed(RuntimeError):
    """The function reported an error instead of an answer, at an invocation or while it started."""


class RuntimeApi:
    """One function's Runtime API. A context manager: serves between enter and exit."""

    def __init__(self) -> None:
        self._events: queue.Queue[tuple[str, Json] | None] = queue.Queue()
        self._answers: dict[str, Future[Json]] = {}
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._events.put(None)  # ends a long poll that is still open
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """What ``AWS_LAMBDA_RUNTIME_API`` holds: host and port."""
        return f"127.0.0.1:{self._server.server_port}"

    def invoke(self, event: Json, timeout: float = TIMEOUT_SECONDS) -> Json:
        """The function's answer to one event; raises FunctionFailed with its error, TimeoutError if none came."""
        request_id = str(uuid.uuid4())
        self._answers[request_id] = Future()
        self._events.put((request_id, event))
        return self._answers[request_id].result(timeout)

    def next_event(self) -> tuple[str, Json] | None:
        """Waits for an event and its request id; None once the server closes."""
        return self._events.get()

    def settle(self, request_id: str, answer: Json) -> None:
        """An invocation's answer has come."""
        self._answers[request_id].set_result(answer)

    def fail(self, request_id: str | None, error: Json) -> None:
        """An invocation failed; without an id the function's start did, and with it all that waits."""
        waiting = [self._answers[request_id]] if request_id else list(self._answers.values())
        for answer in waiting:
            if not answer.done():
                answer.set_exception(FunctionFailed(json.dumps(error, indent=2)))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A function that is killed drops its connection: nothing to report. All else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler_of(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # the runtime client keeps its connection
        wbufsize = -1  # head and body in one packet: two would wait 40 ms for an acknowledgement

        def do_GET(self) -> None:
            if self.path != f"{PREFIX}/invocation/next":
                self._reply(404, {"errorMessage": f"No such path: {self.path}"})
            elif (event := api.next_event()) is None:
                self.close_connection = True
            else:
                self._reply(200, event[1], _invocation_headers(event[0]))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            match self.path.removeprefix(PREFIX).split("/")[1:]:
                case ["invocation", request_id, "response"]:
                    api.settle(request_id, body)
                case ["invocation", request_id, "error"]:
                    api.fail(request_id, body)
                case ["init", "error"]:
                    api.fail(None, body)
            self._reply(202, {"status": "OK"})

        def _reply(self, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            sizes = {"Content-Type": "application/json", "Content-Length": str(len(content))}
            for name, value in {**sizes, **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: the tests read the function's own log."""

    return Handler


def _invocation_headers(request_id: str) -> dict[str, str]:
    return {
        "Lambda-Runtime-Aws-Request-Id": request_id,
        "Lambda-Runtime-Deadline-Ms": str(int((time.time() + TIMEOUT_SECONDS) * 1000)),
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:predict",
        "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
    }


def rest_event(method: str, path: str, body: Json = None) -> Json:
    """The proxy event of an API Gateway REST API for one request, with a JSON body if there is one."""
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Host": "api.example.com"}
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "httpMethod": method,
            "path": f"/prod{path}",
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "requestTimeEpoch": int(time.time() * 1000),
            "resourcePath": "/{proxy+}",
            "stage": "prod",
            "identity": {"sourceIp": "203.0.113.7", "userAgent": "tests"},
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
