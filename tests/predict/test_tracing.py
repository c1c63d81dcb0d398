"""Subsegments as the X-Ray daemon gets them: a datagram each, of sampled requests only, and never an error."""

import itertools
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.predict import tracing

TRACE, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
Received = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    """What stands for the daemon, on a port of its own; gives the documents that came so far."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.2)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={TRACE};Parent={PARENT};Sampled=1;Lineage=1:2")

        def received() -> list[dict[str, Any]]:
            documents = []
            try:
                while True:
                    header, document = server.recv(65_536).split(b"\n")
                    assert json.loads(header) == {"format": "json", "version": 1}
                    documents.append(json.loads(document))
            except TimeoutError:
                return documents

        yield received


def test_a_sampled_request_is_told_by_its_stages(call: Any, promoted: str, daemon: Received) -> None:
    assert call.predict("a superb film").status == 200
    found = daemon()
    names = [document["name"] for document in found]
    assert names == ["store", "encode", "session"], "the first request waits for the model"
    assert {(d["trace_id"], d["parent_id"], d["type"]) for d in found} == {(TRACE, PARENT, "subsegment")}
    assert len({d["id"] for d in found}) == 3
    for before, after in itertools.pairwise(found):
        assert before["start_time"] <= before["end_time"] <= after["start_time"] + 1e-4
    call.predict("a superb film")
    assert [document["name"] for document in daemon()] == ["encode", "session"], "the second does not"


def test_nothing_of_the_request_is_told(call: Any, promoted: str, daemon: Received) -> None:
    call.predict("Zx9secretQw")
    assert "Zx9secretQw" not in json.dumps(daemon())


@pytest.mark.parametrize("header", ["", f"Root={TRACE};Parent={PARENT};Sampled=0", f"Root={TRACE}"])
def test_other_requests_send_nothing(
    call: Any, promoted: str, daemon: Received, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    assert call.predict("a superb film").status == 200
    assert daemon() == []


@pytest.mark.parametrize("address", ["", "nowhere", "127.0.0.1:none", "127.0.0.1:99999", "127.0.0.1:1"])
@pytest.mark.parametrize("header", ["Sampled=1", f"Root={TRACE};Sampled=1", f"Root={TRACE};Parent={PARENT};Sampled=1"])
def test_a_daemon_or_a_header_that_is_none_costs_no_answer(
    monkeypatch: pytest.MonkeyPatch, address: str, header: str
) -> None:
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    tracing.send((tracing.Stage("encode", 0.0, 1.0),))
