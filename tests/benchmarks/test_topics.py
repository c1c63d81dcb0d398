"""Every topic runs over the tiny artifact and gives the tables it promises. No time is asserted."""

import importlib
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import gpu
from benchmarks.footprint import pruning, with_dependencies
from benchmarks.measure import Skipped
from benchmarks.options import Options
from benchmarks.peers.roster import OURS, SMALL
from benchmarks.tables import Measured, Result
from slipway.network import CPU


def run(topic: str, options: Options) -> Measured:
    measured: Measured = importlib.import_module(f"benchmarks.{topic}").measure(options)
    for table in measured.tables:
        assert table.reading.endswith(".")
        assert len({len(row) for row in table.rows} | {len(table.head)}) == 1, table.title
    return measured


def rows(measured: Measured, table: int = 0) -> list[str]:
    return [row[0] for row in measured.tables[table].rows]


def test_limit(options: Options) -> None:
    measured = run("limit", options)
    assert len(measured.tables) == 3
    assert len(rows(measured, 1)) == 6
    assert all(rate > 0 for rate in measured.numbers.values())


def test_overhead(options: Options) -> None:
    measured = run("overhead", options)
    handler, own = measured.numbers["handler"], measured.numbers["handler, own"]
    assert 0 < own < handler
    shares = [float(share.removesuffix(" %")) for _, share in measured.tables[1].rows]
    assert sum(shares) == pytest.approx(100, abs=1)


def test_int8(options: Options) -> None:
    assert rows(run("int8", options))[0] == "fp32"


def test_gpu_on_a_cpu(options: Options) -> None:
    measured = gpu.measure_on(options, CPU)
    assert len(measured.tables) == 5
    same = {row[0]: row[3] for row in measured.tables[3].rows}
    assert same["6 layers, itself, one text a batch"] == "100.00 %"
    assert [row[-1] for row in measured.tables[4].rows] == ["0", "0"]  # requests that were not answered 200


def test_without_a_gpu_that_topic_is_skipped_with_the_reason(options: Options) -> None:
    with pytest.raises(Skipped, match="CUDAExecutionProvider"):
        gpu.measure(options)


@pytest.mark.slow
def test_latency(options: Options, no_other_venvs: None) -> None:
    measured = run("latency", options)
    assert {OURS, SMALL, "transformers pipeline, fp32"} <= set(rows(measured))
    assert set(measured.numbers) == set(rows(measured))
    assert any("OpenVINO" in note for note in measured.tables[0].notes)


@pytest.mark.slow
def test_throughput(options: Options, no_other_venvs: None) -> None:
    assert {OURS, f"{OURS}, two threads"} <= set(rows(run("throughput", options)))


@pytest.mark.slow
def test_cold_start(options: Options) -> None:
    measured = run("cold_start", options)
    assert len(rows(measured)) == 9
    assert {"imports", "session", "first answer", "together"} <= set(rows(measured, 1))
    assert "numpy" in rows(measured, 2)


@pytest.mark.slow
def test_footprint(options: Options, no_other_venvs: None) -> None:
    measured = run("footprint", options)
    whole, pruned, before, _, naive = 3, *(float(row[1]) for row in measured.tables[1].rows)
    assert len(measured.tables[1].head) == whole + 1
    assert pruned < before < naive


@pytest.mark.slow
def test_http(options: Options) -> None:
    measured = run("http", options)
    assert len(rows(measured)) == 3
    assert len(rows(measured, 1)) == 2


@pytest.mark.slow
def test_batch(options: Options) -> None:
    measured = run("batch", options)
    assert rows(measured) == ["500", "1,000"]
    assert rows(measured, 1) == ["plan", "score, the first shard"]


@pytest.mark.slow
def test_endpoint(options: Options, no_other_venvs: None) -> None:
    measured = run("endpoint", options)
    beside, loaded, ended, memory = measured.tables
    assert [row[0] for row in beside.rows] == ["1, slipway", "32, slipway", "128, slipway"]
    assert [note.split(":")[1].strip() for note in beside.notes if note.startswith("Not measured")] == [
        "Triton, delay 0 ms",
        "Triton, delay 2 ms",
        "LitServe",
    ]
    assert [row[0] for row in loaded.rows] == ["1", "32", "128"]
    lost = [row[5] for row in beside.rows] + [row[6] for row in loaded.rows] + [row[5] for row in memory.rows[1:]]
    assert set(lost) == {"0"}, "requests without their answer"
    assert [row[0] for row in memory.rows] == ["0", "300", "600"]
    code, seconds, good, otherwise, broken = ended.rows[0]
    assert (code, otherwise, broken) == ("0", "0", "0")
    assert float(seconds) < 30
    assert int(good.replace(",", "")) > 0


@pytest.mark.slow
def test_soak(options: Options) -> None:
    found = dict(run("soak", options).tables[0].rows)
    assert found["requests, one text each"] == "1,600"
    assert found["answered with other than 200"] == "0"
    assert found["changes of the live version"].startswith("4 ")
    assert len(found["requests by version"].split(", ")) == 2


def test_what_the_image_removes_is_read_from_its_dockerfile() -> None:
    steps = pruning().split(" && ")
    assert steps[0].strip().startswith("rm -rf ")
    assert not any("pip" in step or "compileall" in step for step in steps)


def test_dependencies_are_followed_and_what_is_not_installed_is_left_out() -> None:
    found = with_dependencies(["transformers", "no-such-package"])
    assert {"transformers", "tokenizers", "numpy"} <= found
    assert "no-such-package" not in found


@pytest.fixture
def arguments(options: Options) -> list[str]:
    paths = {name: getattr(options, name) for name in ("artifact", "small", "base", "config", "work", "venvs")}
    return ["--quick", *(part for name, path in paths.items() for part in (f"--{name}", str(path)))]


def test_the_command_prints_keeps_and_reports(
    arguments: list[str], options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["limit", *arguments, "--report", str(tmp_path)]) == 0
    assert "What one core does at most" in capsys.readouterr().out
    kept = Result.read(options.work / "results-quick/limit.json")
    assert kept.command.startswith("python -m benchmarks limit --artifact ")
    assert "onnxruntime" in kept.machine
    text = (tmp_path / "benchmarks.md").read_text()
    assert "## limit" in text
    assert "A quick run" in text


def test_one_topic_that_fails_does_not_take_the_others_with_it(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Options) -> Measured:
        raise ZeroDivisionError

    monkeypatch.setattr("benchmarks.int8.measure", fail)
    assert command.main(["int8", "limit", *arguments]) == 1
    captured = capsys.readouterr()
    assert "ZeroDivisionError" in captured.err
    assert "What one core does at most" in captured.out


def test_without_an_artifact_the_command_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["limit", "--artifact", str(tmp_path / "nothing")]) == 2
    assert "make demo" in capsys.readouterr().err


def test_two_runs_at_once_are_refused(
    arguments: list[str], options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    with command._alone(options) as alone:
        assert alone
        assert command.main(["limit", *arguments]) == 2
    assert "Another run" in capsys.readouterr().err


def test_an_unknown_topic_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["weather"])
    assert "weather" in capsys.readouterr().err
