"""Training survives a kill at any point, and is not done twice."""

import dataclasses
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model_build.sections import NetworkConfig, TrainConfig
from model_build.training.bases import load_tokenizer
from model_build.training.networks import Classifier, build_network
from model_build.training.rows import Rows
from model_build.training.train import Training, fit, last_complete_checkpoint, torch_logits, train_once
from slipway.artifact import Task, read_manifest
from slipway.encoding import Encoder
from tests.model_build.conftest import Run

ROOT = Path(__file__).parents[3]
TEXTS = {
    "train": [f"the film was {word} {i}" for word in ("bad", "good") for i in range(30)],
    "dev": [f"the film was {word} {i}" for word in ("bad", "good") for i in range(30, 40)],
}
TARGETS = {name: np.repeat([0, 1], len(texts) // 2) for name, texts in TEXTS.items()}


def console() -> Console:
    return Console(file=io.StringIO())


def rows(encoder: Encoder, name: str, task: Task = "single-label") -> Rows:
    tokens = [encoded.ids for encoded in encoder.encode(TEXTS[name])]
    targets = TARGETS[name] if task == "single-label" else np.eye(2, dtype=np.uint8)[TARGETS[name]]
    return Rows(tokens, targets, 2, task)


def fresh(base: Path, directory: Path, *, seed: int = 1, task: Task = "single-label", **settings: Any) -> Training:
    config = NetworkConfig(base=str(base), max_tokens=32)
    tokenizer, pad_id = load_tokenizer(config.base)
    encoder = Encoder(tokenizer, max_tokens=32)
    return Training(
        network=build_network(config, labels=2, vocabulary=0, pad_id=pad_id, seed=seed),
        train=rows(encoder, "train", task),
        dev=rows(encoder, "dev", task),
        config=TrainConfig(**{"learning_rate": 3e-3} | settings),
        directory=directory,
    )


def answers(network: Classifier, base: Path, texts: list[str]) -> Any:
    return torch_logits(network, Encoder(load_tokenizer(str(base))[0], max_tokens=32), texts)


def started(config: Path, out: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "model_build", "build", "--config", str(config), "--out", str(out)]
    with (out / "log").open("wb") as log:
        return subprocess.Popen([*command, "--set", "train.epochs=12"], cwd=ROOT, stdout=log, stderr=log)


def wait_for_a_checkpoint(process: "subprocess.Popen[bytes]", out: Path) -> None:
    until = time.monotonic() + 60
    while not list(out.glob("demo/.work-*/full/checkpoints/checkpoint-*/trainer_state.json")):
        assert process.poll() is None, (out / "log").read_text()
        assert time.monotonic() < until, "no checkpoint in a minute"
        time.sleep(0.005)


def test_a_killed_build_goes_on_from_its_last_checkpoint(tiny_config: Path, tmp_path: Path, slipway: Run) -> None:
    process = started(tiny_config, tmp_path)
    try:
        wait_for_a_checkpoint(process, tmp_path)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    outcome = slipway("build", "--config", tiny_config, "--out", tmp_path, "--set", "train.epochs=12", "--json")
    assert outcome.code == 0
    training = read_manifest(Path(outcome.document["artifact"])).training
    (resumed,) = re.findall(r"resumed at step (\d+)", outcome.err)
    assert 0 < int(resumed) < training["steps"]
    assert training["steps"] == 12 * 15  # 480 rows in batches of 32, as without the kill
    assert not list(tmp_path.glob("demo/.work-*"))


@pytest.mark.parametrize("state", [None, "", '{"global_step": 1', "\x00" * 50])
def test_a_half_written_checkpoint_is_removed_and_the_one_before_counts(tmp_path: Path, state: str | None) -> None:
    for step in (7, 14, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    broken = tmp_path / "checkpoint-100" / "trainer_state.json"
    broken.unlink() if state is None else broken.write_text(state)
    assert last_complete_checkpoint(tmp_path) == tmp_path / "checkpoint-14"
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-7", "checkpoint-14"}


def test_no_checkpoint_at_all_means_from_the_start(tmp_path: Path) -> None:
    assert last_complete_checkpoint(tmp_path / "none") is None


def test_a_finished_training_is_not_repeated(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fresh(tiny_base, tmp_path, epochs=1)
    report = train_once(first, console())
    found = answers(first.network, tiny_base, ["the film was good"])

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained a second time")

    monkeypatch.setattr("model_build.training.train.fit", never)
    another = fresh(tiny_base, tmp_path, seed=2, epochs=1)
    assert train_once(another, console()) == report
    assert (answers(another.network, tiny_base, ["the film was good"]) == found).all()
    assert {path.name for path in tmp_path.iterdir()} == {"trained.pt"}


def test_weights_that_were_half_saved_do_not_count_as_trained(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "trained.partial").write_bytes(b"half")
    assert train_once(fresh(tiny_base, tmp_path, epochs=1), console())["steps"] == 2
    assert (tmp_path / "trained.pt").exists()


def test_the_same_seed_trains_the_same_network(tiny_base: Path, tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        training = fresh(tiny_base, tmp_path / name, epochs=4, seed=1)
        fit(dataclasses.replace(training, config=training.config.model_copy(update={"seed": seed})), console())
        found.append(answers(training.network, tiny_base, ["the film was good", "bad"]))
    assert (found[0] == found[1]).all()
    assert (found[0] != found[2]).any()


def test_a_resumed_training_does_only_the_rest_and_ends_where_the_whole_one_did(
    tiny_base: Path, tmp_path: Path
) -> None:
    outcomes, steps = [], []
    for _ in range(2):
        training = fresh(tiny_base, tmp_path, epochs=4)
        done: list[bool] = []
        training.network.register_forward_hook(lambda module, *_, done=done: done.append(module.training))
        report = fit(training, console())
        outcomes.append(answers(training.network, tiny_base, ["the film was good", "bad"]))
        steps.append(sum(done))
        checkpoints = tmp_path / "checkpoints"
        shutil.rmtree(last_complete_checkpoint(checkpoints) or checkpoints)  # as if it had been killed before this one
    assert report["resumed_at_step"] > 0
    assert steps == [8, 8 - report["resumed_at_step"]]
    assert np.abs(outcomes[0] - outcomes[1]).max() < 1e-6


@pytest.mark.parametrize("seed", [1, 2])
def test_the_weights_of_the_best_check_are_kept_even_if_later_ones_are_worse(
    tiny_base: Path, tmp_path: Path, seed: int
) -> None:
    training = fresh(tiny_base, tmp_path, epochs=6)  # a large learning rate: dev accuracy jumps about
    report = fit(dataclasses.replace(training, config=training.config.model_copy(update={"seed": seed})), console())
    logits = answers(training.network, tiny_base, TEXTS["dev"])
    right = (logits.argmax(1) == TARGETS["dev"]).mean()
    assert abs(right - report["best_dev_score"]) <= 0.05  # of 20, one may tip in bf16
    assert max(row["dev"] for row in report["history"] if "dev" in row) == report["best_dev_score"]


@pytest.mark.parametrize("seed", [1, 2])
def test_where_the_loss_chooses_the_weights_of_the_lowest_are_kept(tiny_base: Path, tmp_path: Path, seed: int) -> None:
    training = dataclasses.replace(fresh(tiny_base, tmp_path, epochs=6), softness=1.0)
    report = fit(dataclasses.replace(training, config=training.config.model_copy(update={"seed": seed})), console())
    logits = answers(training.network, tiny_base, TEXTS["dev"])
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    loss = -np.log(chances[np.arange(len(logits)), TARGETS["dev"]]).mean()
    best = min((row for row in report["history"] if "dev_loss" in row), key=lambda row: row["dev_loss"])
    assert loss == pytest.approx(best["dev_loss"], rel=0.05, abs=0.01)  # it was measured in bf16
    assert report["best_dev_score"] == best["dev"]


def test_training_learns_reports_and_leaves_a_float32_network_in_evaluation_mode(
    tiny_base: Path, tmp_path: Path
) -> None:
    training = fresh(tiny_base, tmp_path, epochs=15)
    report = fit(training, console())
    assert (report["steps"], report["resumed_at_step"], report["processes"]) == (30, 0, 1)
    assert report["best_dev_score"] > 0.9
    assert not training.network.training
    assert {parameter.dtype for parameter in training.network.parameters()} == {torch.float32}
    losses = [row["loss"] for row in report["history"] if "loss" in row]
    assert losses[-1] < losses[0]


OPTIONS: list[dict[str, Any]] = [
    {"optimizer": "adam"},
    {"optimizer": "sgd", "learning_rate": 0.3, "momentum": 0.9},
    {"l1": 1e-5, "weight_decay": 0.1},
    {"schedule": "cosine", "warmup": 0.2},
    {"schedule": "constant", "label_smoothing": 0.1},
    {"class_weights": "balanced"},
]


@pytest.mark.parametrize("settings", OPTIONS, ids=str)
@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_every_option_trains_something_that_tells_good_from_bad(
    tiny_base: Path, tmp_path: Path, settings: dict[str, Any], task: Task
) -> None:
    report = fit(fresh(tiny_base, tmp_path, task=task, epochs=12, **settings), console())
    assert report["best_dev_score"] >= 0.9


def test_l1_pulls_weights_towards_zero(tiny_base: Path, tmp_path: Path) -> None:
    sums = []
    for l1 in (0.0, 1e-3):
        training = fresh(tiny_base, tmp_path / str(l1), epochs=8, l1=l1, checks=1)
        fit(training, console())
        sums.append(
            sum(float(weight.detach().abs().sum()) for weight in training.network.parameters() if weight.ndim > 1)
        )
    assert sums[1] < 0.98 * sums[0]


def test_patience_ends_a_training_that_gets_no_better(tiny_base: Path, tmp_path: Path) -> None:
    report = fit(fresh(tiny_base, tmp_path, epochs=200, patience=8, warmup=0), console())
    assert report["best_dev_score"] == 1
    assert report["steps"] < 200


def test_scalars_are_there_for_tensorboard(tiny_base: Path, tmp_path: Path) -> None:
    training = dataclasses.replace(fresh(tiny_base, tmp_path / "work", epochs=3), scalars=tmp_path / "scalars")
    fit(training, console())
    events = EventAccumulator(str(tmp_path / "scalars")).Reload()
    assert {"train/loss", "train/learning_rate", "eval/score"} <= set(events.Tags()["scalars"])
    assert len(events.Scalars("eval/score")) == 6  # two checks an epoch


def test_a_check_can_end_the_training(tiny_base: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []

    def give_up(step: int, score: float) -> None:
        seen.append((step, score))
        if len(seen) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit(fresh(tiny_base, tmp_path, epochs=20), console(), give_up)
    assert [step for step, _ in seen] == [1, 2]
