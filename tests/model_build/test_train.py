"""Training survives a kill at any point, and is not done twice."""

import io
import json
import os
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

from model_build.clean import Example
from model_build.config import NetworkConfig, TrainConfig
from model_build.networks import PretrainedClassifier, load_pretrained, load_tokenizer
from model_build.train import encode_rows, last_complete_checkpoint, torch_logits, train, train_once
from slipway.artifact import read_manifest
from slipway.encoding import Encoder
from tests.model_build.conftest import Run

ROOT = Path(__file__).parents[2]
GOOD = [Example(f"the film was good {i}", 1) for i in range(40)]
BAD = [Example(f"the film was bad {i}", 0) for i in range(40)]
SPLITS = {"train": GOOD[:30] + BAD[:30], "dev": GOOD[30:] + BAD[30:]}


def console() -> Console:
    return Console(file=io.StringIO())


def fresh(base: Path, seed: int = 1) -> tuple[PretrainedClassifier, Encoder]:
    config = NetworkConfig(base=str(base), max_tokens=32)
    tokenizer, pad_id = load_tokenizer(config)
    return load_pretrained(config, labels=2, pad_id=pad_id, seed=seed), Encoder(tokenizer, max_tokens=32)


def started(config: Path, out: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "model_build", "build", "--config", str(config), "--out", str(out)]
    with (out / "log").open("wb") as log:
        return subprocess.Popen([*command, "--set", "train.epochs=12"], cwd=ROOT, stdout=log, stderr=log)


def wait_for_a_checkpoint(process: "subprocess.Popen[bytes]", out: Path) -> None:
    until = time.monotonic() + 60
    while not list(out.glob("demo/.work-*/checkpoints/checkpoint-*/trainer_state.json")):
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
    assert 0 < training["resumed_at_step"] < training["steps"]
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
    network, encoder = fresh(tiny_base)
    config = TrainConfig(epochs=1)
    report = train_once(network, encoder, SPLITS, config, work=tmp_path, console=console())
    answers = torch_logits(network, encoder, ["the film was good"])

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained a second time")

    monkeypatch.setattr("model_build.train.train", never)
    another, _ = fresh(tiny_base, seed=2)
    assert train_once(another, encoder, SPLITS, config, work=tmp_path, console=console()) == report
    assert (torch_logits(another, encoder, ["the film was good"]) == answers).all()
    assert not (tmp_path / "trained.partial").exists()


def test_weights_that_were_half_saved_do_not_count_as_trained(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "trained.partial").write_bytes(b"half")
    network, encoder = fresh(tiny_base)
    report = train_once(network, encoder, SPLITS, TrainConfig(epochs=1), work=tmp_path, console=console())
    assert report["steps"] == 2
    assert (tmp_path / "trained.pt").exists()


def test_the_same_seed_trains_the_same_network(tiny_base: Path, tmp_path: Path) -> None:
    answers = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        network, encoder = fresh(tiny_base)
        config = TrainConfig(epochs=4, learning_rate=3e-3, seed=seed)
        train(network, encoder, SPLITS, config, checkpoints=tmp_path / name, console=console())
        answers.append(torch_logits(network, encoder, ["the film was good", "bad"]))
    assert (answers[0] == answers[1]).all()
    assert (answers[0] != answers[2]).any()


def test_a_resumed_training_does_only_the_rest_and_ends_where_the_whole_one_did(
    tiny_base: Path, tmp_path: Path
) -> None:
    config = TrainConfig(epochs=4, learning_rate=3e-3)
    outcomes, steps = [], []
    for _ in range(2):
        network, encoder = fresh(tiny_base)
        done: list[bool] = []
        network.register_forward_hook(lambda module, *_, done=done: done.append(module.training))
        report = train(network, encoder, SPLITS, config, checkpoints=tmp_path, console=console())
        outcomes.append(torch_logits(network, encoder, ["the film was good", "bad"]))
        steps.append(sum(done))
        shutil.rmtree(last_complete_checkpoint(tmp_path) or tmp_path)  # as if it had been killed before this one
    assert report["resumed_at_step"] > 0
    assert steps == [8, 8 - report["resumed_at_step"]]
    assert np.abs(outcomes[0] - outcomes[1]).max() < 1e-6


@pytest.mark.parametrize("seed", [1, 2])
def test_the_weights_of_the_best_check_are_kept_even_if_later_ones_are_worse(
    tiny_base: Path, tmp_path: Path, seed: int
) -> None:
    network, encoder = fresh(tiny_base)
    config = TrainConfig(epochs=6, learning_rate=3e-3, seed=seed)  # large: dev accuracy jumps about
    report = train(network, encoder, SPLITS, config, checkpoints=tmp_path, console=console())
    logits = torch_logits(network, encoder, [example.text for example in SPLITS["dev"]])
    labels = [example.label for example in SPLITS["dev"]]
    assert abs((logits.argmax(1) == labels).mean() - report["best_dev_accuracy"]) <= 0.05  # of 20, one may tip in bf16


def test_training_learns_reports_and_leaves_a_float32_network_in_evaluation_mode(
    tiny_base: Path, tmp_path: Path
) -> None:
    network, encoder = fresh(tiny_base)
    config = TrainConfig(epochs=15, learning_rate=3e-3)
    report = train(network, encoder, SPLITS, config, checkpoints=tmp_path, console=console())
    assert (report["steps"], report["resumed_at_step"]) == (30, 0)
    assert report["best_dev_accuracy"] > 0.9
    assert not network.training
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    logits = torch_logits(network, encoder, [example.text for example in SPLITS["dev"]])
    assert logits.dtype.name == "float32"
    labels = [example.label for example in SPLITS["dev"]]
    assert (logits.argmax(1) == labels).mean() == report["best_dev_accuracy"]  # the best weights, not the last


def test_rows_are_encoded_as_serving_encodes_them(tiny_base: Path) -> None:
    _, encoder = fresh(tiny_base)
    (row,) = encode_rows(encoder, [Example("good film", 1)])
    assert row["labels"] == 1
    assert (row["input_ids"] == encoder.encode(["good film"])[0].ids).all()
