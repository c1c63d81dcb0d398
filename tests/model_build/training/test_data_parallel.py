"""Two processes on this machine's CPU, over gloo, train one network.

In every step all texts are seen: what two processes average is then the gradient that one process computes, and the
weights show it.
"""

import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from model_build.sections import NetworkConfig, TrainConfig
from model_build.training.networks import build_network
from model_build.training.rows import Rows
from model_build.training.train import Training, train_once
from slipway.errors import BuildError

ROOT = Path(__file__).parents[3]
TEXTS, WORDS, LABELS, STEPS = 64, 120, 2, 40
NETWORK = NetworkConfig(kind="pooled", width=16, hidden=16, dropout=0.0)
TRAIN = TrainConfig(
    epochs=STEPS,
    batch_size=TEXTS // 2,
    processes=2,
    optimizer="sgd",
    learning_rate=0.5,
    warmup=0.0,
    schedule="constant",
    weight_decay=0.0,
    checks=1,
    tensorboard=False,
)
# Two processes with two threads each would wait for one another on two cores.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(ROOT)}
PARENT = """
import sys
from pathlib import Path
from tests.model_build.training.test_data_parallel import console, make_training
from model_build.training.data_parallel import train_in_processes
train_in_processes(make_training(Path(sys.argv[1])), console())
"""


def make_rows(seed: int) -> Rows:
    """Texts of one class have small ids, those of the other large ones."""
    numbers = np.random.default_rng(seed)
    targets = np.arange(TEXTS, dtype=np.int64) % LABELS
    half = WORDS // 2
    tokens = [(numbers.integers(1, half, 8) + half * target).astype(np.int32) for target in targets]
    return Rows(tokens, targets, LABELS, "single-label")


def make_training(directory: Path, config: TrainConfig = TRAIN) -> Training:
    directory.mkdir(parents=True, exist_ok=True)
    network = build_network(NETWORK, labels=LABELS, vocabulary=WORDS, pad_id=0, seed=1)
    return Training(network=network, train=make_rows(1), dev=make_rows(2), config=config, directory=directory)


def console() -> Console:
    return Console(file=io.StringIO())


def processes_of(directory: Path) -> list[str]:
    """The command lines of all processes that name ``directory``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has just ended
            continue
        if str(directory) in line:
            found.append(line)
    return found


def wait_until(holds: object, seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < until, f"not in {seconds} s"
        time.sleep(0.005)


def killed_in_the_middle(directory: Path) -> None:
    """Two processes are training, and SIGKILL ends the one that started them."""
    command = [sys.executable, "-c", PARENT, str(directory)]
    parent = subprocess.Popen(command, env=os.environ | ENVIRONMENT, cwd=ROOT)
    try:
        wait_until(lambda: list(directory.glob("checkpoints/*/trainer_state.json")) or parent.poll() is not None)
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    wait_until(lambda: not processes_of(directory))


@pytest.mark.slow
def test_killed_in_the_middle_it_leaves_nobody_behind_goes_on_and_ends_as_one_process_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    killed_in_the_middle(tmp_path / "both")
    assert not (tmp_path / "both/trained.pt").exists()
    both, alone = make_training(tmp_path / "both"), make_training(tmp_path / "alone", one_process())
    report, single = train_once(both, console()), train_once(alone, console())
    assert (report["processes"], single["processes"]) == (2, 1)
    assert report["steps"] == single["steps"] == STEPS
    assert 0 < report["resumed_at_step"] < STEPS
    assert report["best_dev_score"] == single["best_dev_score"] > 0.9
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == ["trained.pt"]
    start = make_training(tmp_path / "start").network.state_dict()
    for name, weights in both.network.state_dict().items():
        moved = (weights - start[name]).norm()
        assert (weights - alone.network.state_dict()[name]).norm() < 0.1 * moved, name  # in bf16, on CPUs that have it


def one_process() -> TrainConfig:
    return TRAIN.model_copy(update={"processes": 1, "batch_size": TEXTS})


@pytest.mark.slow
def test_a_process_that_fails_is_one_line_with_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    training = make_training(tmp_path)
    tokens = [np.full(4, WORDS + 5, np.int32)] * TEXTS  # no embedding has that id
    broken = replace(training, train=replace(training.train, tokens=tokens))
    with pytest.raises(BuildError) as refusal:
        train_once(broken, console())
    assert "Training in 2 processes failed: " in str(refusal.value)
    assert "index out of range" in str(refusal.value)
    assert "train.processes" in refusal.value.remedy
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "trained.pt").exists()
    assert not (tmp_path / "job.pt").exists()
    assert torch.distributed.is_initialized() is False
