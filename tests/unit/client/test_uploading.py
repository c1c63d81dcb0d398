"""Files handed over, jobs asked for: through a server that does as it is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.client import BadAnswer, Client, NotSent, Unauthorized, Unavailable
from tests.unit.client.server import Server, hangs_up, says

ID = "0123456789abcdef0123456789abcdef"
STATE = {"id": ID, "state": "running", "model": "demo", "rows": 9, "rows_done": 3, "bucket": "b", "input": "k"}
ENDED = {**STATE, "state": "finished", "rows_done": 9, "errors": 1, "results": ["out"], "errors_key": "errors"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "films.csv"
    path.write_bytes(b"text\n" + b"a film\n" * 400_000)
    return path


def handed_out(server: Server, url: str = "") -> Any:
    where = {"method": "PUT", "url": url or f"{server.url}/file?signature=s3cret", "expires_in": 3_600}
    return says({"id": ID, "model": "demo", "upload": where, "bucket": "b", "key": "k"}, 201)


def test_a_file_is_sent_whole_to_the_address_and_its_progress_is_told(
    client: Client, server: Server, file: Path
) -> None:
    server.script.extend([handed_out(server), says(b"")])
    sent: list[tuple[int, int]] = []
    assert client.upload(file, text_column="text", progress=lambda *now: sent.append(now), top_k=2) == ID
    asked, put = server.seen
    assert json.loads(asked.body) == {"name": "films.csv", "text_column": "text", "parameters": {"top_k": 2}}
    assert (put.method, put.path, put.body) == ("PUT", "/prod/file?signature=s3cret", file.read_bytes())
    assert "x-api-key" not in {name.lower() for name in put.headers}, "the key is for the API alone"
    assert sent[-1] == (file.stat().st_size,) * 2
    assert sent == sorted(sent)


def test_a_lost_upload_begins_again(client: Client, server: Server, file: Path, time: Any) -> None:
    server.script.extend([handed_out(server), hangs_up, says({}, 503), says(b"")])
    assert client.upload(file) == ID
    assert [seen.body for seen in server.seen[2:]] == [file.read_bytes()] * 2
    assert len(time.slept) == 2


@pytest.mark.parametrize(("answers", "error"), [([says({}, 403)], Unauthorized), ([hangs_up] * 9, Unavailable)])
def test_an_upload_that_is_refused_or_keeps_failing_is_an_error_without_its_address(
    client: Client, server: Server, file: Path, answers: list[Any], error: type[Exception]
) -> None:
    server.script.extend([handed_out(server), *answers])
    with pytest.raises(error) as caught:
        client.upload(file)
    assert "s3cret" not in str(caught.value)


def test_a_file_never_goes_to_an_address_without_tls(client: Client, server: Server, file: Path) -> None:
    server.script.append(handed_out(server, "http://files.example.com/x?y"))
    with pytest.raises(BadAnswer, match="https"):
        client.upload(file)


def test_a_file_that_is_not_there_is_not_asked_for(client: Client, server: Server, tmp_path: Path) -> None:
    with pytest.raises(NotSent, match="is no file"):
        client.upload(tmp_path / "nothing.csv")
    assert not server.seen


def test_waiting_ends_when_the_job_has_ended(client: Client, server: Server, time: Any) -> None:
    waiting = {**STATE, "state": "planning", "rows": None, "rows_done": 0}
    server.script.extend([says(waiting), says(STATE), says(ENDED)])
    told: list[int] = []
    state = client.wait(ID, every=3, progress=lambda now: told.append(now.rows_done))
    assert (state.state, state.results, state.errors, state.ended) == ("finished", ("out",), 1, True)
    assert told == [0, 3, 9]
    assert time.slept == [3, 3]
    assert server.seen[0].path == f"/prod/v1/batches/{ID}"


def test_waiting_has_an_end(client: Client, server: Server) -> None:
    server.script.extend([says(STATE)] * 5)
    with pytest.raises(TimeoutError, match="still running"):
        client.wait(ID, timeout=5, every=2)


def test_a_failed_job_says_why(client: Client, server: Server) -> None:
    server.script.append(says({**STATE, "state": "failed", "reason": "It is empty."}))
    assert client.wait(ID).reason == "It is empty."


def test_an_answer_that_is_no_state_is_a_bad_answer(client: Client, server: Server) -> None:
    server.script.append(says({"id": ID}))
    with pytest.raises(BadAnswer):
        client.batch(ID)
