"""``slipway score`` on this machine: all cores, the same answers, and nothing lost or done twice when it is stopped."""

import csv
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.batch.local import score_file
from slipway.errors import ArtifactError, BatchError, StoreError

ROOT = Path(__file__).resolve().parents[3]
ROWS = 60_000  # three shards


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films(tmp_path_factory.mktemp("files") / "films.csv", ROWS)


def films(path: Path, rows: int) -> Path:
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "text"])
        writer.writerows([row, f"a {'superb' if row % 3 else 'awful'} film\nnumber {row % 50}"] for row in range(rows))
    return path


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What a script started in its background ignores interrupts, and so does all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def start(file: Path, tiny_artifact: Path, interruptible: None) -> Callable[..., subprocess.Popen[str]]:
    """Run the command in a session of its own."""

    def run(out: Path, file: Path = file) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "model_build", "score", str(file), "--artifact", str(tiny_artifact)]
        return subprocess.Popen(
            [*command, "--out", str(out), "--json"], cwd=ROOT, text=True, stdout=subprocess.PIPE, start_new_session=True
        )

    return run


def results(out: Path) -> bytes:
    return (out / "films.scored.csv").read_bytes()


def marks(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.rglob("done/*.json")}


def test_a_small_file_takes_one_process_and_says_what_it_did(tiny_artifact: Path, tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_text("a lovely superb moving film\na boring awful dull film\n\n")
    seen: list[tuple[int, int]] = []
    document = score_file(path, tiny_artifact, tmp_path / "out", progress=lambda *done: seen.append(done))
    assert (document["rows"], document["scored"], document["errors"]) == (3, 2, 1)
    assert seen[-1] == (3, 3)
    lines = (tmp_path / "out/some.scored.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["positive", "negative"]
    assert json.loads((tmp_path / "out/manifest.json").read_text()) == document
    assert json.loads((tmp_path / "out/errors.jsonl").read_text())["row"] == 3


def test_a_sidecar_is_read_and_a_changed_file_is_another_job(tiny_artifact: Path, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("review,n\na superb film,1\n")
    with pytest.raises(BatchError, match="no column 'text'"):
        score_file(path, tiny_artifact, tmp_path / "out")
    path.with_name("some.csv.slipway.json").write_text('{"text_column": "review", "top_k": 2}')
    first = score_file(path, tiny_artifact, tmp_path / "out")
    assert first["columns"] == ["label", "score", "scores", "model_version"]
    path.write_text("review,n\na superb film,1\nan awful film,2\n")
    second = score_file(path, tiny_artifact, tmp_path / "out")
    assert (first["rows"], second["rows"]) == (1, 2)
    assert first["job"] != second["job"]


def test_a_file_that_is_not_there_is_one_line(tiny_artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"nowhere\.csv cannot be read: No such file"):
        score_file(tmp_path / "nowhere.csv", tiny_artifact, tmp_path / "out")


def test_where_results_cannot_be_kept_is_one_line(tiny_artifact: Path, tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("a film\n")
    with pytest.raises(StoreError, match="cannot be kept: Not a directory"):
        score_file(file, tiny_artifact, file / "out")


def test_a_damaged_artifact_is_named_before_anything_is_scored(tiny_artifact: Path, tmp_path: Path) -> None:
    artifact = shutil.copytree(tiny_artifact, tmp_path / "artifact")
    (artifact / "tokenizer.json").write_text("{}")
    file = tmp_path / "some.txt"
    file.write_text("a film\n")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json of demo .* is damaged"):
        score_file(file, artifact, tmp_path / "out")


@pytest.mark.slow
def test_killed_ten_times_at_random_the_results_are_those_of_an_undisturbed_run(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    whole = start(tmp_path / "whole")
    document: dict[str, Any] = json.loads(whole.communicate(timeout=300)[0])
    assert (document["rows"], document["scored"]) == (ROWS, ROWS)
    rng = random.Random(7)
    out = tmp_path / "killed"
    kept: dict[str, int] = {}
    for _ in range(10):
        run = start(out)
        time.sleep(rng.uniform(1.5, 6))
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        before, kept = kept, marks(out)
        assert before.items() <= kept.items(), "what is done is not done again"
    last = start(out)
    assert json.loads(last.communicate(timeout=300)[0])["rows"] == ROWS
    assert results(out) == results(tmp_path / "whole")
    assert sum(1 for _ in csv.reader(io.StringIO(results(out).decode(), newline=""))) == ROWS + 1


@pytest.mark.slow
def test_interrupted_it_keeps_what_it_has(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    out, file = tmp_path / "out", films(tmp_path / "films.csv", 4 * ROWS)
    run = start(out, file)
    deadline = time.monotonic() + 120
    while not marks(out):  # the first of twelve shards is done
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode == 130
    kept = marks(out)
    again = start(out, file)
    assert json.loads(again.communicate(timeout=300)[0])["rows"] == 4 * ROWS
    assert kept.items() <= marks(out).items()
