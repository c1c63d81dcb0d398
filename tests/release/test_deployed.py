"""A deployment asks which version is live, and gets an answer in words whatever it is."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from slipway.store import Store
from tests.release.conftest import publish

Ask = Callable[..., dict[str, Any]]


class _Put(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answers.append((self.headers["Content-Type"], json.loads(body)))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def cloudformation() -> Iterator[Any]:
    """Where CloudFormation waits for answers."""
    server = HTTPServer(("127.0.0.1", 0), _Put)
    server.answers, server.status = [], 200  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(function: Any, cloudformation: Any) -> Ask:
    def asked(kind: str = "Create") -> dict[str, Any]:
        event = {
            "RequestType": kind,
            "ResponseURL": f"http://127.0.0.1:{cloudformation.server_port}/answer?signature=1",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Live",
            "ResourceProperties": {"Definition": "0"},
        }
        function("deployed").handler(event, None)
        ((kind_of_content, answer),) = cloudformation.answers
        assert kind_of_content == "", "the address is signed without one"
        assert (answer["StackId"], answer["RequestId"], answer["LogicalResourceId"]) == ("stack", "request", "Live")
        cloudformation.answers.clear()
        assert isinstance(answer, dict)
        return answer

    return asked


def test_the_answer_is_the_live_version(ask: Ask, live: Any) -> None:
    version = live(hour=1)
    answer = ask()
    assert (answer["Status"], answer["Data"]) == ("SUCCESS", {"Version": version, "Name": version.lower()})


def test_asked_again_it_is_the_same_resource_with_what_is_live_then(ask: Ask, live: Any) -> None:
    live(hour=1)
    first = ask()
    version = live(hour=2)
    second = ask("Update")
    assert second["Data"]["Version"] == version
    assert second["PhysicalResourceId"] == first["PhysicalResourceId"]


def test_without_a_live_version_the_deployment_fails_with_the_remedy(ask: Ask, store: Store) -> None:
    publish(store, hour=1)
    answer = ask()
    assert answer["Status"] == "FAILED"
    assert "No version of 'demo' is live" in answer["Reason"]
    assert "slipway promote" in answer["Reason"]


def test_a_version_that_no_gpu_can_serve_is_refused_by_name(ask: Ask, live: Any) -> None:
    version = live(hour=1, fp16=False)
    answer = ask()
    assert answer["Status"] == "FAILED"
    assert version in answer["Reason"]
    assert "model.fp16.onnx" in answer["Reason"]


def test_a_stack_can_be_deleted_when_nothing_is_live(ask: Ask) -> None:
    assert ask("Delete")["Status"] == "SUCCESS"


def test_an_answer_that_did_not_arrive_is_an_error(ask: Ask, cloudformation: Any, live: Any) -> None:
    live(hour=1)
    cloudformation.status = 403
    with pytest.raises(RuntimeError, match="403"):
        ask()
