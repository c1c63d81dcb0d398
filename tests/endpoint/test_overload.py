"""Trouble, on a real process: a full queue, callers that leave, deadlines, a model that fails, and the end."""

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.endpoint.process import PATIENCE, Answer, Endpoint, endpoint, ready

Start = Callable[..., Endpoint]
BATCHES = 2  # in flight


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as pool:
        yield pool


def occupied(running: Endpoint, gate: Path, pool: ThreadPoolExecutor) -> list[Future[Answer]]:
    """Close the gate and let every batch wait before it."""
    gate.touch()
    asked = []
    for number in range(BATCHES):
        asked.append(pool.submit(running.invoke, {"instances": [f"good film {number}"]}))
        running.wait_for(lambda number=number: running.metric("slipway_batches_in_flight") == number + 1)
    return asked


def test_a_full_queue_refuses_at_once_and_answers_what_it_took(
    held: Start, gate: Path, pool: ThreadPoolExecutor
) -> None:
    running = held(queue_tokens=50)
    asked = occupied(running, gate, pool)
    asked += [pool.submit(running.invoke, {"instances": ["good film"]}) for _ in range(30)]  # four tokens each
    running.wait_for(lambda: running.metric("slipway_queue_tokens") == 48)
    running.wait_for(lambda: sum(each.done() for each in asked) == 30 - 12)
    refused = [each for each in asked if each.done()]
    assert {each.result().status for each in refused} == {503}
    assert all(int(each.result().headers["retry-after"]) >= 1 for each in refused)
    assert running.ask("GET", "/ping").status == 200
    gate.unlink()
    assert sorted(each.result().status for each in asked) == [200] * (BATCHES + 12) + [503] * 18
    assert running.metric("slipway_queue_tokens") == 0


def test_callers_that_hang_up_leave_the_queue(held: Start, gate: Path, pool: ThreadPoolExecutor) -> None:
    running = held()
    asked = occupied(running, gate, pool)
    leaving = [running.connect() for _ in range(5)]
    for connection in leaving:
        connection.request("POST", "/invocations", json.dumps({"instances": ["good film"] * 3}))
    staying = pool.submit(running.invoke, {"instances": ["bad film"]})
    running.wait_for(lambda: running.metric("slipway_queue_texts") == 16)
    for connection in leaving:
        connection.close()
    running.wait_for(lambda: running.metric("slipway_queue_texts") == 1)
    running.wait_for(lambda: running.metric('slipway_requests_total{route="invocations",status="499"}') == 5)
    gate.unlink()
    assert {each.result().status for each in [*asked, staying]} == {200}
    assert running.metric("slipway_texts_total") == BATCHES + 1


def test_a_request_has_its_own_deadline_below_the_servers(held: Start, gate: Path, pool: ThreadPoolExecutor) -> None:
    running = held(request_seconds=4)
    asked = occupied(running, gate, pool)
    began = time.monotonic()
    hurried = running.invoke({"instances": ["good film"]}, X_Timeout_Ms="100")
    assert time.monotonic() - began < 3.5
    patient = running.invoke({"instances": ["good film"]}, X_Timeout_Ms="60000")
    for answer in (hurried, patient, *(each.result() for each in asked)):
        assert (answer.status, "in its time" in answer.document["detail"]) == (503, True)
    assert running.metric("slipway_queue_texts") == 0
    gate.unlink()
    running.wait_for(lambda: running.invoke({"instances": ["good film"]}).status == 200)


def test_a_model_that_fails_is_told_by_ping_until_it_computes_again(held: Start, gate: Path) -> None:
    running = held()
    gate.with_name("broken").touch()
    answer = running.invoke({"instances": ["good film"]})
    assert (answer.status, "words" in answer.body.decode()) == (500, False)
    assert running.ask("GET", "/ping").status == 500
    gate.with_name("broken").unlink()
    assert running.ask("GET", "/ping").status == 200
    assert running.metric("slipway_failed_batches_total") == 2
    assert "the words of a text" not in running.log.read_text()
    crashes = [line for line in running.lines() if line["message"] == "crashed"]
    assert {line["error_type"] for line in crashes} == {"RuntimeError"}
    assert answer.document["instance"] in {line.get("instance") for line in crashes}


def test_sigterm_in_the_middle_answers_all_that_was_taken(held: Start, gate: Path, pool: ThreadPoolExecutor) -> None:
    running = held(drain_notice_seconds=4, drain_seconds=20)
    asked = occupied(running, gate, pool)
    asked += [pool.submit(running.invoke, {"instances": ["good film"]}) for _ in range(20)]
    running.wait_for(lambda: running.metric("slipway_queue_texts") == 20)
    running.process.send_signal(signal.SIGTERM)
    running.wait_for(lambda: running.ask("GET", "/ping").status == 503)
    late = pool.submit(running.invoke, {"instances": ["a late film"]})
    running.wait_for(lambda: running.metric("slipway_queue_texts") == 21)
    running.wait_for(lambda: closed(running))  # the notice is over: nothing new is taken, and nobody is forgotten
    gate.unlink()
    assert {each.result(PATIENCE).status for each in [*asked, late]} == {200}
    assert late.result().headers["connection"] == "close"
    assert running.process.wait(PATIENCE) == 0


def closed(running: Endpoint) -> bool:
    try:
        running.ask("GET", "/ping")
    except OSError as error:  # a connection that it drops while it closes is another
        return isinstance(error, ConnectionRefusedError)
    return False


def test_what_cannot_be_computed_in_time_is_refused_before_the_end(
    held: Start, gate: Path, pool: ThreadPoolExecutor
) -> None:
    running = held(request_seconds=3_000, drain_notice_seconds=0.2, drain_seconds=2.5)
    asked = occupied(running, gate, pool)
    asked += [pool.submit(running.invoke, {"instances": ["good film"]})]
    running.wait_for(lambda: running.metric("slipway_queue_texts") == 1)
    began = time.monotonic()
    assert running.terminate() == 0
    assert time.monotonic() - began < 15
    assert {each.result(PATIENCE).status for each in asked} == {503}


def test_sigterm_under_load_loses_nothing(held: Start, pool: ThreadPoolExecutor) -> None:
    """Clients that keep their connections and go on until they are told to close them."""
    running = held(drain_notice_seconds=1.5)

    def client(_: int) -> list[int]:
        statuses: list[int] = []
        with contextlib.closing(running.connect()) as connection:
            while True:
                connection.request("POST", "/invocations", json.dumps({"instances": ["good film"]}))
                answer = Answer.read(connection.getresponse())
                statuses.append(answer.status)
                if answer.headers.get("connection") == "close":
                    return statuses

    clients = [pool.submit(client, number) for number in range(16)]
    running.wait_for(lambda: running.metric("slipway_texts_total") > 200)
    began = time.monotonic()
    assert running.terminate() == 0
    assert time.monotonic() - began < 28
    assert {status for each in clients for status in each.result(PATIENCE)} == {200}


def test_ping_refuses_until_the_model_has_computed(tiny_artifact: Path, gate: Path, tmp_path: Path) -> None:
    gate.touch()
    program = (str(Path(__file__).with_name("gated.py")), str(gate))
    with endpoint(tiny_artifact, tmp_path, program=program) as running:
        assert running.ask("GET", "/ping").status == 503
        refused = running.invoke({"instances": ["good film"]})
        assert (refused.status, "being loaded" in refused.document["detail"]) == (503, True)
        assert running.ask("GET", "/v2/health/live").status == 200
        assert running.ask("GET", "/v2/health/ready").status == 503
        gate.unlink()
        ready(running)
