"""A few seconds of what ``python -m tests.fuzz`` does for minutes, from the same start each time."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import NAMES
from tests.fuzz.mutation import mutated
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]


def test_every_target_has_its_name_on_the_command_line() -> None:
    assert tuple(TARGETS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_no_parser_falls_over_good_inputs_that_were_changed_at_random(name: str) -> None:
    if name == "message_grpc":  # in a process of its own
        command = [sys.executable, "-c", f"from tests.fuzz.test_fuzz import fall_over; fall_over({name!r})"]
        subprocess.run(command, cwd=ROOT, check=True)
    else:
        fall_over(name)


def fall_over(name: str) -> None:
    chooser, good, target = random.Random(7), seeds(name), TARGETS[name]
    for seed in good:
        target(seed)
    for _ in range(40 if name == "file_batch" else 150):
        target(mutated(chooser, good))


def test_a_target_notices_a_parser_that_falls_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.targets.v1.parse", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        TARGETS["body_v1"](b"{}")
