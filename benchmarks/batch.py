"""Files scored row by row: rows a second of one process beside the predictor alone, and memory that does not grow."""

import csv
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from benchmarks.measure import Measure, Rounds, Sample, middle, ratio, take_turns
from benchmarks.options import ROOT, Options
from benchmarks.peers.roster import Entry, main_peer, running
from benchmarks.peers.worker import Worker, environment
from benchmarks.tables import Measured, Table, megabytes
from benchmarks.texts import Texts
from slipway.artifact import read_manifest
from slipway.batch.finishing import finish
from slipway.batch.job import Job, Shard
from slipway.batch.places import Folder
from slipway.batch.planning import plan
from slipway.batch.scoring import WINDOW, score
from slipway.batch.sources import FileSource
from slipway.loading import load_predictor
from slipway.predictor import Predictor

_ROWS = (10_000, 100_000, 1_000_000)
_KINDS_OF_TEXT = 5_000
_LONGEST = 300.0  # seconds of one way over one file
_PIPELINE = Entry("transformers pipeline, batches of 32", lambda o: main_peer("pipeline", o.base, "--batch", 32))
_PIPELINE_TEXTS = 256  # of the same, long-tailed: it takes a hundredth of a second a text
_MEGABYTES = (50, 1_000)


def measure(options: Options) -> Measured:
    """Two tables: rows a second, and memory."""
    return Measured([_speed(options), _memory(options)])


def _speed(options: Options) -> Table:
    artifact = options.small or options.artifact
    predictor = load_predictor(artifact)
    texts = Texts.of(artifact).long_tailed(_KINDS_OF_TEXT)
    folder = options.folder("batch")
    rows = []
    with running([_PIPELINE], options) as (workers, notes):
        for count in _ROWS if not options.quick else (500, 1_000):
            expected = _seconds_for(count, texts, predictor)
            if expected > _LONGEST:
                notes.append(f"Not measured: {count:,} rows, which take {expected / 60:.0f} minutes here.")
                continue
            rows.append(_row(count, texts, predictor, folder, workers, options))
    return Table(
        title="(i) Batch: rows a second, one process, one thread",
        reading="A CSV of texts of long-tailed lengths, planned, scored and joined on disk, beside the predictor alone "
        f"over the same texts in windows of {WINDOW:,}; medians of rounds that take turns. Overhead is the quotient of "
        "their CPU seconds.",
        head=["rows", "rows/s, file to file", "rows/s, predictor alone", "overhead", "texts/s, transformers pipeline"],
        rows=rows,
        notes=[
            f"The model is {read_manifest(artifact).model} {predictor.manifest.version}.",
            f"The pipeline runs the 6 layers in fp32, in batches of 32, over {_PIPELINE_TEXTS} of the texts.",
            *notes,
        ],
    )


def _row(
    count: int, texts: list[str], predictor: Predictor, folder: Path, workers: Mapping[str, Worker], options: Options
) -> list[str]:
    file = folder / f"{count}.csv"
    _write(file, islice(cycle(texts), count))
    ways: dict[str, Measure] = {
        "file": partial(_timed, lambda: _whole(file, predictor, folder / "out")),
        "alone": partial(_timed, lambda: _alone(list(islice(cycle(texts), count)), predictor)),
    }
    for worker in workers.values():
        ways["pipeline"] = partial(worker.time, [texts[:_PIPELINE_TEXTS]])
    rounds = 1 if count > _ROWS[0] else options.count(3, 1)
    found: dict[str, Rounds] = take_turns(ways, rounds=rounds, progress=options.progress)
    file.unlink()
    speeds = [f"{count / middle(found[way]):,.0f}" for way in ("file", "alone")]
    pipeline = f"{_PIPELINE_TEXTS / middle(found['pipeline']):,.0f}" if workers else ""
    return [f"{count:,}", *speeds, f"{ratio(found['file'], found['alone'], cpu=True) - 1:+.1%}", pipeline]


def _whole(file: Path, predictor: Predictor, out: Path) -> None:
    """File to results, as ``slipway score`` does in each of its processes."""
    shutil.rmtree(out, ignore_errors=True)
    source, place = FileSource(file), Folder(out)
    version = predictor.manifest.version
    job = Job(model="m", model_version=version, bucket="", key=file.name, size=source.size, etag="", local=True)
    made = plan(job, source, place)
    kept = place.read(f"{job.folder}shards.jsonl")
    assert kept  # noqa: S101  it was just written
    for line in kept[0].splitlines():
        score(made, Shard(**json.loads(line)), predictor, source, place)
    finish(made, place)


def _alone(texts: list[str], predictor: Predictor) -> None:
    for start in range(0, len(texts), WINDOW):
        predictor.predict(texts[start : start + WINDOW])


def _seconds_for(count: int, texts: list[str], predictor: Predictor) -> float:
    began = time.perf_counter()
    predictor.predict(texts[:256])
    return (time.perf_counter() - began) * count / 256


def _timed(call: Callable[[], None]) -> list[Sample]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return [Sample(time.perf_counter() - wall, time.process_time() - cpu)]


def _memory(options: Options) -> Table:
    artifact = options.small or options.artifact
    texts = Texts.of(artifact).long_tailed(_KINDS_OF_TEXT)
    folder = options.folder("batch")
    sizes = _MEGABYTES if not options.quick else (1, 5)
    found: dict[str, list[str]] = {"plan": [], "score, the first shard": []}
    for size in sizes:
        file = folder / f"{size}mb.csv"
        _write(file, _of_size(texts, size * 1_000_000))
        for step, cells in found.items():
            options.progress(f"memory: {step} of {size} MB")
            shutil.rmtree(out := folder / "memory", ignore_errors=True)
            command = [sys.executable, "-m", "benchmarks.starts.batch_memory", step.split(",")[0], file, artifact, out]
            done = subprocess.run(
                [str(part) for part in command], cwd=ROOT, env=environment(), check=True, capture_output=True, text=True
            )
            cells.append(megabytes(int(done.stdout)))
        file.unlink()
    return Table(
        title="(i) Batch: memory",
        reading="Megabytes resident at most, in a fresh process, for a CSV of each size.",
        head=["step", *(f"{size:,} MB" for size in sizes)],
        rows=[[step, *cells] for step, cells in found.items()],
    )


def _of_size(texts: list[str], size: int) -> Iterator[str]:
    for text in cycle(texts):
        if size <= 0:
            return
        size -= len(text) + 3
        yield text


def _write(file: Path, texts: Iterator[str]) -> None:
    with file.open("w", newline="") as out:
        writer = csv.writer(out, quoting=csv.QUOTE_ALL)
        writer.writerow(["text"])
        writer.writerows([text] for text in texts)
