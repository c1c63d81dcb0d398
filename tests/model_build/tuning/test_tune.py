"""Searches that are small, with networks of two thousand weights: what is found, kept, resumed and refused."""

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from model_build.config import BuildConfig, read_config
from model_build.data.clean import clean
from model_build.data.corpora import Corpora
from model_build.stages import Build
from model_build.tuning import tune as tuning
from model_build.tuning.study import alone
from model_build.tuning.tune import tune
from slipway.encoding import Encoder
from slipway.errors import BuildError
from tests.conftest import tiny_rows

ROOT = Path(__file__).parents[3]
SPACE = {"train.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}, "train.batch_size": [16, 32]}
LONG = {"epochs": 10, "checks": 6}  # of six steps each
PARENT = """
import sys
from pathlib import Path
from tests.model_build.tuning.test_tune import LONG, make_run
from model_build.tuning.tune import tune
tune(make_run(Path(sys.argv[1]), Path(sys.argv[2]), trials=1, train=LONG))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in tiny_rows(count=240)))
    return path


def make_run(data: Path, directory: Path, *, trials: int = 2, space: Any = SPACE, **sections: Any) -> Build:
    train = {"epochs": 2, "learning_rate": 0.01, "tensorboard": False} | sections.pop("train", {})
    network = {"kind": "pooled", "vocabulary": 300, "width": 8, "hidden": 8, "max_tokens": 32}
    content = {
        "model": "demo",
        "data": {"path": str(data)},
        "network": network,
        "train": train,
        "tune": {"trials": trials, "space": space},
    }
    directory.mkdir(parents=True, exist_ok=True)
    return Build(
        config=BuildConfig.model_validate(content | sections),
        config_path="tiny.toml",
        overrides=(),
        directory=directory,
        console=Console(file=io.StringIO(), width=200),
    )


def states(database: Path) -> list[str]:
    """Of all trials, those included that were interrupted."""
    connection = sqlite3.connect(database)
    try:
        return [state for (state,) in connection.execute("SELECT state FROM trials ORDER BY number")]
    finally:
        connection.close()


def told(run: Build) -> str:
    assert isinstance(run.console.file, io.StringIO)
    return run.console.file.getvalue()


def test_a_search_writes_the_best_configuration_its_plot_and_its_study_and_leaves_nothing_else(
    data: Path, tmp_path: Path
) -> None:
    run = make_run(data, tmp_path, trials=3)
    tuned = tune(run)
    assert [trial["number"] for trial in tuned.trials] == [0, 1, 2]
    assert tuned.trials[0]["values"] == {"train.batch_size": 32, "train.learning_rate": 0.01}  # as it is, first
    assert tuned.best["score"] == max(trial["score"] for trial in tuned.trials)
    best = read_config(tuned.config)
    assert best.train.learning_rate == tuned.best["values"]["train.learning_rate"]
    assert best.train.batch_size == tuned.best["values"]["train.batch_size"]
    assert best.model_dump(exclude={"train"}) == run.config.model_dump(exclude={"train"})
    assert tuned.plot.read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{tuned.study}.db", "lock", "best.toml", "trials.png"
    }  # fmt: skip


def test_more_trials_add_to_those_that_are_done_and_the_data_are_cleaned_once_a_call(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(tuning, "clean", counted(clean, calls))
    first = tune(make_run(data, tmp_path, trials=1))
    second = tune(make_run(data, tmp_path, trials=3))
    assert second.study == first.study
    assert [t["values"] for t in second.trials][:1] == [t["values"] for t in first.trials]
    assert len(second.trials) == 3
    third = tune(make_run(data, tmp_path, trials=2))  # fewer: nothing to do
    assert [t["values"] for t in third.trials] == [t["values"] for t in second.trials]
    assert len(calls) == 3


def counted(function: Callable[..., Any], calls: list[int]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        calls.append(1)
        return function(*arguments)

    return call


def test_the_test_split_is_never_looked_at(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    tokens = Corpora.tokens

    def listening(self: Corpora, name: str, encoder: Encoder) -> Any:
        asked.add(name)
        return tokens(self, name, encoder)

    monkeypatch.setattr(Corpora, "tokens", listening)
    tune(make_run(data, tmp_path, trials=1))
    assert asked == {"train", "dev"}


@pytest.mark.slow
def test_a_killed_search_goes_on_from_the_checkpoint_of_the_trial_that_was_killed(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(data), str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        until = time.monotonic() + 300
        while not list(tmp_path.glob(".work-*/trials/*/full/checkpoints/*/trainer_state.json")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.005)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    tuned = tune(make_run(data, tmp_path, trials=1, train=LONG))
    assert states(tuned.database) == ["FAIL", "COMPLETE"]
    assert tuned.best["values"] == {"train.batch_size": 32, "train.learning_rate": 0.01}  # those of the first trial
    assert 0 < len(tuned.best["checks"]) < 10 * 6
    assert not list(tmp_path.glob(".work-*"))


def test_what_falls_behind_is_pruned_and_leaves_nothing_to_the_next_trial(data: Path, tmp_path: Path) -> None:
    space = {"train.learning_rate": [0.03, 1e-7]}
    run = make_run(data, tmp_path, trials=9, space=space, train={"epochs": 3, "checks": 1, "learning_rate": 0.03})
    tuned = tune(run)
    pruned = [trial for trial in tuned.trials if trial["state"] == "pruned"]
    assert pruned
    assert {trial["values"]["train.learning_rate"] for trial in pruned} == {1e-7}
    assert all(len(trial["checks"]) < 3 for trial in pruned)
    assert "pruned" in told(run)
    good = {trial["score"] for trial in tuned.trials if trial["values"]["train.learning_rate"] == 0.03}
    assert len(good) == 1  # same seed, same values: whatever was trained and pruned in between
    assert tuned.best["values"] == {"train.learning_rate": 0.03}
    assert sum(tuned.importance.values()) == pytest.approx(1)


def test_values_that_cannot_be_trained_are_a_pruned_trial_with_its_reason(data: Path, tmp_path: Path) -> None:
    space = {"train.learning_rate": [0.01, 1e30]}
    run = make_run(data, tmp_path, trials=5, space=space, train={"epochs": 1, "optimizer": "sgd"})
    tuned = tune(run)
    failed = [trial for trial in tuned.trials if trial["values"]["train.learning_rate"] > 1]
    assert failed
    assert all("diverged" in trial["reason"] and trial["state"] == "pruned" for trial in failed)
    assert "diverged" in told(run)
    assert tuned.best["values"] == {"train.learning_rate": 0.01}


def test_a_search_without_any_trial_that_could_be_trained_is_refused_with_the_last_reason(
    data: Path, tmp_path: Path
) -> None:
    network = {"kind": "transformer", "width": 8, "heads": 4, "vocabulary": 300}
    run = make_run(data, tmp_path, space={"network.heads": [5], "network.width": [16]}, network=network)
    with pytest.raises(BuildError, match=r"None of 2 trials came to an end\. .*width 16 is not a multiple of heads 5"):
        tune(run)


def test_other_data_or_another_space_is_another_study(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("".join(data.read_text().splitlines(keepends=True)[:-5]))
    runs = [
        make_run(data, tmp_path / "out", trials=1),
        make_run(data, tmp_path / "out", trials=1, space={"train.epochs": [1, 2]}),
        make_run(other, tmp_path / "out", trials=1),
    ]
    assert len({tune(run).study for run in runs}) == 3


def test_two_searches_at_once_are_refused(data: Path, tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(BuildError, match="Another search is at work"):
        tune(make_run(data, tmp_path, trials=1))


def test_a_database_that_is_none_is_refused(data: Path, tmp_path: Path) -> None:
    run = make_run(data, tmp_path, trials=1)
    database = tune(run).database
    database.write_text("this is no database, but a long enough line of text to be read as the header of one")
    with pytest.raises(BuildError, match="cannot be opened") as refusal:
        tune(run)
    assert "Move it away" in refusal.value.remedy
