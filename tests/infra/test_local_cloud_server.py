"""The server process, with real processes and ports: each way in which a start can fail, and what a stop ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local_cloud.errors import LocalCloudError
from infra.local_cloud.ports import HOST, answers, check_port, free_port, port_owner
from infra.local_cloud.server import Running, Server, birth

# Answers every GET with 200, and has a child, as ministack has its functions.
HEALTHY = """
import http.server, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DEAF_TO_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HEALTHY
ENV = {"PATH": os.environ["PATH"]}


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, name="stand-in", health_path="/health")
    yield server
    server.stop()


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(python("import time; time.sleep(60)"), start_new_session=True)
    yield process
    process.kill()
    process.wait()


def start(server: Server, code: str = HEALTHY, *, seconds: float = 20) -> Running:
    port = free_port()
    return server.start(python(code, str(port)), port=port, env=ENV, seconds=seconds)


def test_a_started_server_is_found_again_by_another_process(server: Server, tmp_path: Path) -> None:
    started = start(server)
    assert answers(f"http://{HOST}:{started.port}/health")
    assert Server(tmp_path, name="stand-in", health_path="/health").running() == started


def test_starting_twice_is_starting_once(server: Server) -> None:
    started = start(server)
    again = server.start(python("raise SystemExit('must not run')"), port=started.port, env=ENV)
    assert again == started


def test_a_second_port_for_the_same_directory_is_refused(server: Server) -> None:
    started = start(server)
    with pytest.raises(LocalCloudError, match=rf"already runs here on port {started.port}"):
        start(server)


def test_stopping_ends_the_server_and_what_it_started(server: Server) -> None:
    started = start(server)
    child = int(server.log.read_text().split()[1])
    assert birth(child)
    assert server.stop() is True
    assert not started.alive()
    wait_for_end(child)
    assert server.stop() is False


def test_a_server_that_ignores_sigterm_is_killed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.local_cloud.server.TERM_SECONDS", 0.2)
    started = start(server, DEAF_TO_SIGTERM)
    assert server.stop() is True
    assert not started.alive()


def test_a_stale_pid_file_is_recovered_from(server: Server, tmp_path: Path) -> None:
    started = start(server)
    os.kill(started.pid, signal.SIGKILL)
    wait_for_end(started.pid)
    assert server.running() is None
    assert start(server).pid != started.pid


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"pid": 1}'])
def test_an_unreadable_pid_file_is_recovered_from(server: Server, tmp_path: Path, text: str) -> None:
    (tmp_path / "stand-in.json").write_text(text)
    assert server.running() is None
    start(server)


def test_a_stranger_with_the_same_pid_is_left_alone(
    server: Server, tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    note = {"pid": stranger.pid, "born": "long ago", "port": 1}
    (tmp_path / "stand-in.json").write_text(json.dumps(note))
    assert server.running() is None
    assert server.stop() is False
    assert stranger.poll() is None


def test_a_taken_port_names_who_has_it(server: Server) -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(LocalCloudError) as refused:
            server.start(python(HEALTHY, str(port)), port=port, env=ENV)
        assert str(refused.value).startswith(f"Port {port} is taken by ")
        assert f"(pid {os.getpid()})" in str(refused.value)
        assert "\n" not in str(refused.value)
    check_port(port)


def test_a_free_port_has_no_owner() -> None:
    assert port_owner(free_port()) == "another process"


def test_a_server_that_dies_says_its_last_words(server: Server) -> None:
    with pytest.raises(LocalCloudError) as died:
        start(server, "print('one'); print('no such option: --x'); raise SystemExit(3)")
    assert "ended at once: no such option: --x (log: " in str(died.value)
    assert "\n" not in str(died.value)
    assert server.running() is None


def test_a_silent_server_is_given_up_and_ended(server: Server, tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match=r"did not answer on port \d+ in 1 s"):
        start(server, "import time; time.sleep(60)", seconds=0.6)
    assert server.running() is None
    assert not (tmp_path / "stand-in.json").exists()


def test_a_server_that_cannot_be_executed_is_one_line(server: Server) -> None:
    with pytest.raises(LocalCloudError, match="cannot be started"):
        server.start(["/nowhere/python"], port=free_port(), env=ENV)


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 5
    while birth(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)
