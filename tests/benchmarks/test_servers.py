"""How the servers are asked, compared and ended. A real model is not needed for it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.asking import invocations, open_inference, predict
from benchmarks.callers import Met
from benchmarks.options import ROOT
from benchmarks.peers.worker import environment
from benchmarks.side_by_side import Cell, _rows

_LONELY = "from benchmarks.peers.served import end_with_parent; end_with_parent(); import time; time.sleep(60)"
_STARTER = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, process_group=0)
time.sleep(float(sys.argv[2]))
os.killpg(child.pid, signal.SIGSTOP)
print(child.pid, flush=True)
time.sleep(60)
"""


def test_each_server_is_asked_and_read_in_its_own_form() -> None:
    assert invocations().body("a") == {"instances": ["a"]}
    assert invocations().scores({"predictions": [{"scores": {"x": 0.7, "y": 0.3}}]}) == [0.7, 0.3]
    v2 = open_inference("films")
    assert v2.path == "/v2/models/films/infer"
    assert v2.body("a")["inputs"][0]["data"] == ["a"]
    assert v2.scores({"outputs": [{"name": "label", "data": ["x"]}, {"name": "scores", "data": [0.7, 0.3]}]}) == [
        0.7,
        0.3,
    ]
    assert (predict().body("a"), predict().scores({"scores": [0.7, 0.3]})) == ({"text": "a"}, [0.7, 0.3])


def test_whatever_is_no_answer_with_200_counts_as_failed() -> None:
    met = Met(statuses={"200": 7, "503": 2}, seconds=[0.1] * 9, broken=3, refused=1, took=2.0)
    assert (met.good, met.otherwise, met.failed, met.rate) == (7, 2, 6, 3.5)


def test_ratios_are_to_the_better_row_of_triton_round_by_round() -> None:
    measured = {
        "slipway": [Cell(20, 1, 4, 1, 0), Cell(30, 1, 2, 1, 1), Cell(40, 1, 2, 1, 0)],
        "Triton, delay 0 ms": [Cell(10, 1, 2, 1, 0), Cell(10, 1, 2, 1, 0), Cell(10, 1, 2, 1, 0)],
        "Triton, delay 2 ms": [Cell(5, 1, 1, 1, 0)] * 3,
    }
    ours, base, slower = _rows(32, measured)
    assert ours == ["32, slipway", "30", "1000", "2000", "1.0", "1", "3.00x", "1.00x"]
    assert base[-2:] == ["1.00x", "1.00x"]
    assert slower[-2:] == ["0.50x", "0.50x"]
    assert [row[-2:] for row in _rows(1, {"slipway": measured["slipway"]})] == [["", ""]]


@pytest.mark.skipif(sys.platform != "linux", reason="its end is seen in /proc")
def test_a_server_at_rest_ends_when_whoever_started_it_is_killed() -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER, _LONELY, "3"], stdout=subprocess.PIPE, cwd=ROOT, env=environment()
    )
    assert starter.stdout
    with starter:
        child = Path("/proc") / starter.stdout.readline().decode().strip()
        _wait_for(child, "T")
        starter.kill()
    _wait_for(child, "Z")


def _wait_for(process: Path, state: str) -> None:
    """Until it is in this state of /proc or, as a zombie may, gone."""
    end = time.monotonic() + 20
    while (found := _state(process)) != state and not (found == "" and state == "Z"):
        assert time.monotonic() < end, found
        time.sleep(0.05)


def _state(process: Path) -> str:
    """Of all of its threads: only when the last one stands does the kernel wake it for its parent's end."""
    try:
        states = {(task / "stat").read_text().rsplit(")", 1)[1].split()[0] for task in (process / "task").iterdir()}
    except OSError:
        return ""
    return states.pop() if len(states) == 1 else f"{sorted(states)}"
