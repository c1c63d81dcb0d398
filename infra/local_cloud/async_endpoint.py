"""What stands for SageMaker's asynchronous inference beside the local cloud, as a server of its runtime's own protocol.

A call names an object in S3; its content is posted to an endpoint's server, and what comes back becomes an object
under ``out/``, or the reason why nothing did one under ``failed/``: whose names a caller is told at once.
"""

import json
import urllib.parse
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from infra.local_cloud.ports import HOST

_HEADER = "X-Amzn-SageMaker-"
_SECONDS = 900


@dataclass(frozen=True)
class _Question:
    source: str
    output: str
    failure: str
    content_type: str


class AsyncEndpoint:
    """Questions wait for one another, as for an instance that takes one at a time. ``folder`` is an address in S3.

    ``s3`` is a client of the local cloud, ``answering`` the address of the server that answers.
    """

    def __init__(self, *, s3: Any, folder: str, answering: str, port: int) -> None:
        self.url = f"http://{HOST}:{port}"
        self.asked: list[str] = []  # the ids of all questions, in their order
        self._s3 = s3
        self._folder = folder.rstrip("/")
        self._answering = urllib.parse.urlsplit(answering).netloc
        self._queue = ThreadPoolExecutor(1, "async")
        self._server = ThreadingHTTPServer((HOST, port), _handler(self._take))
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        """From now on it answers."""
        self._thread.start()

    def stop(self) -> None:
        """From now on it does not; what waits is forgotten."""
        self._queue.shutdown(wait=True, cancel_futures=True)
        self._server.shutdown()
        self._server.server_close()

    def _take(self, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Let a question wait; its id, and where its answer will be."""
        name = uuid.uuid4()
        found = _Question(
            source=headers["inputlocation"],
            output=f"{self._folder}/out/{name}.out",
            failure=f"{self._folder}/failed/{name}-error.out",
            content_type=headers.get("content-type", "application/json"),
        )
        identifier = headers.get("inference-id", str(name))
        self.asked.append(identifier)
        self._queue.submit(self._answer, found)
        return identifier, {"OutputLocation": found.output, "FailureLocation": found.failure}

    def _answer(self, question: _Question) -> None:
        body = self._s3.get_object(**_object(question.source))["Body"].read()
        connection = HTTPConnection(self._answering, timeout=_SECONDS)
        try:
            connection.request("POST", "/invocations", body, {"Content-Type": question.content_type})
            response = connection.getresponse()
            place = question.output if response.status == 200 else question.failure
            content = response.read()
        except OSError as error:
            place, content = question.failure, str(error).encode()
        finally:
            connection.close()
        self._s3.put_object(**_object(place), Body=content)


def _object(address: str) -> dict[str, str]:
    parts = urllib.parse.urlsplit(address)
    return {"Bucket": parts.netloc, "Key": parts.path.lstrip("/")}


def _handler(take: Callable[[dict[str, str]], tuple[str, dict[str, str]]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """``POST /endpoints/<name>/async-invocations`` and nothing else."""

        def do_POST(self) -> None:
            """What is asked is all in the headers."""
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not self.path.startswith("/endpoints/") or not self.path.endswith("/async-invocations"):
                self.send_error(404)
                return
            told = {
                name.lower().removeprefix(_HEADER.lower()): value
                for name, value in self.headers.items()
                if name.lower().startswith(_HEADER.lower())
            }
            identifier, places = take(told)
            body = json.dumps({"InferenceId": identifier}).encode()
            self.send_response(202)
            for name, value in places.items():
                self.send_header(f"{_HEADER}{name}", value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler
