"""The processes of the rows: what they answer, and what is said of one that cannot run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import Skipped
from benchmarks.options import Options
from benchmarks.peers import roster, venvs
from benchmarks.peers.profile import by_package, package_of
from benchmarks.peers.roster import OURS, Entry, main_peer
from benchmarks.peers.worker import Peer, Worker


@pytest.fixture
def ours(options: Options) -> Peer:
    return main_peer("ours", options.artifact, "int8")


def test_a_worker_times_every_call_and_tells_its_memory_and_versions(ours: Peer, tmp_path: Path) -> None:
    with Worker(ours, tmp_path) as worker:
        samples = worker.time([["good film"], ["bad film", "dull plot"]])
        memory = worker.memory()
    assert len(samples) == 2
    assert all(sample.wall > 0 for sample in samples)
    assert 0 < memory["own"] < memory["resident"] <= memory["peak"]
    assert worker.versions[0].startswith("onnxruntime ")


def test_a_peer_that_cannot_load_is_skipped_with_its_own_reason(tmp_path: Path) -> None:
    with pytest.raises(Skipped, match=r"ArtifactError: .* holds no manifest\.json"):
        Worker(main_peer("ours", tmp_path, "int8"), tmp_path)


def test_a_peer_whose_process_ends_is_skipped_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(Skipped, match=r"its process ended: .*No module named benchmarks\.peers\.nobody"):
        Worker(main_peer("nobody"), tmp_path)


def test_rows_that_cannot_run_become_notes_and_the_others_run(options: Options, no_other_venvs: None) -> None:
    entries = [entry for entry in roster.single_texts() if entry.name in (OURS, "OpenVINO, NNCF int8")]
    entries.append(Entry("broken", lambda _: main_peer("nobody")))
    with roster.running(entries, options) as (workers, notes):
        assert list(workers) == [OURS]
        assert len(workers[OURS].time([["good film"]])) == 1
    assert notes[0] == "Not measured: OpenVINO, NNCF int8: not in a test"
    assert notes[1].startswith("Not measured: broken: its process ended")


def test_without_a_distilled_artifact_its_row_is_left_out(tiny_artifact: Path, tiny_base: Path, tmp_path: Path) -> None:
    alone = Options(artifact=tiny_artifact, base=tiny_base, work=tmp_path, quick=True)
    with roster.running(roster.ours(), alone) as (workers, notes):
        assert roster.SMALL not in workers
    assert "--small" in notes[0]


def test_padding_to_the_limit_answers_as_we_do(options: Options, tmp_path: Path) -> None:
    with Worker(main_peer("fixed_padding", options.artifact, "--batch", 2), tmp_path) as worker:
        assert len(worker.time([["good film", "bad film", "dull"]])) == 1


def test_an_environment_that_cannot_be_made_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        made = Path(command[-1]) if command[1:3] == ["-m", "venv"] else None
        if made:
            made.mkdir(parents=True)
        return subprocess.CompletedProcess(command, 0 if made else 1, "Collecting x\nERROR: no such package\n")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(Skipped, match="ERROR: no such package"):
        venvs.own_python(tmp_path / "venvs/peer", ["x==1"])


def test_the_seconds_of_builtins_count_for_who_calls_them() -> None:
    ours = (str(roster.ROOT / "functions/predict/routes.py"), 1, "f")
    library = (str(Path(json.__file__)), 1, "dumps")
    stats = {
        ours: (1, 1, 2.0, 9.0, {}),
        library: (1, 1, 1.0, 1.0, {ours: (1, 1, 1.0, 1.0)}),
        ("~", 0, "<built-in>"): (2, 2, 5.0, 5.0, {ours: (1, 1, 4.0, 4.0), library: (1, 1, 1.0, 1.0)}),
    }
    assert by_package(stats) == {"functions.predict.routes": 6.0, "json": 2.0}
    assert package_of("<frozen importlib>") == "Python"
    assert package_of(str(roster.ROOT / "layers/runtime/python/slipway/dialects/v1.py")) == "slipway.dialects"


def test_the_childs_end_of_the_pipe_needs_no_package() -> None:
    code = "import sys; import benchmarks.peers.loop; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    found = subprocess.run(
        [sys.executable, "-S", "-c", code], check=True, capture_output=True, text=True, cwd=roster.ROOT
    ).stdout.split()
    assert set(found) - set(sys.stdlib_module_names) <= {"benchmarks", "__main__", "__mp_main__"}
