"""``python -m benchmarks.drift ARTIFACT CONFIG OTHER…``: false alarms of a month, and how soon other texts are noticed.

The model's own traffic is its dev split, drawn with replacement: texts that neither trained it nor are its baseline.
The others are texts of other configurations, such as another language's or another subject's.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console

from benchmarks.tables import Table
from model_build.config import read_config
from model_build.data.clean import clean
from model_build.data.read import read_rows
from model_build.evaluation.evaluate import baseline
from slipway.drift.bins import STATISTICS, Bins, Counts
from slipway.drift.comparing import HOURS, PSI, Change, compare
from slipway.loading import load_predictor
from slipway.predictor import Predictor

SIZES = (100, 300, 1_000, 10_000)  # texts of a window
_TEXTS, _WINDOWS, _SEED = 1_000, 100, 13

Places = npt.NDArray[np.int64]  # (texts, statistics)


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("config", type=Path, help="what the artifact was built with")
    parser.add_argument("others", type=Path, nargs="*", help="configurations of other texts")
    given = parser.parse_args()
    predictor = load_predictor(given.artifact, threads=2)
    test, dev = (_texts(given.config, split) for split in ("test", "dev"))
    bins, counts = _baseline(predictor, test)
    console = Console(width=None if sys.stdout.isatty() else 140)
    own = _places(predictor, bins, dev)
    mixed = own[own[:, 0] == own[:, 0].min()]
    rows = [_row("own, a month", own, bins, counts, size, HOURS) for size in SIZES]
    rows += [_row("own, one label only", mixed, bins, counts, size, _WINDOWS) for size in SIZES]
    for other in given.others:
        places = _places(predictor, bins, _texts(other, "train")[:_TEXTS])
        rows += [_row(other.stem, places, bins, counts, size, _WINDOWS) for size in SIZES]
    console.print(_table(rows, len(test), len(dev)).rich())
    return 0


def _texts(config: Path, split: str) -> list[str]:
    settings = read_config(config).data
    with tempfile.TemporaryDirectory() as work:
        return list(clean(read_rows(settings), settings, Path(work)).splits[split].texts())


def _baseline(predictor: Predictor, texts: Sequence[str]) -> tuple[Bins, Counts]:
    """As a build of this release writes it, whichever release built the artifact."""
    manifest, encoded = predictor.manifest, predictor.encoder.encode(texts)
    chances = np.stack([each.probabilities for each in predictor.classify(encoded)])
    found = baseline(predictor.encoder, encoded, chances, labels=manifest.labels, task=manifest.task)["drift"]
    return Bins(manifest.labels, found["edges"], found["unknown_id"]), found["counts"]


def _places(predictor: Predictor, bins: Bins, texts: Sequence[str]) -> Places:
    encoded, labels = predictor.encoder.encode(texts), predictor.manifest.labels
    chances = [each.probabilities for each in predictor.classify(encoded)]
    rows = zip(chances, encoded, strict=True)
    return np.array([bins.place(labels[int(each.argmax())], float(each.max()), text) for each, text in rows])


def windows(places: Places, bins: Bins, baseline: Counts, *, texts: int, count: int) -> list[list[Change]]:
    """``count`` windows of ``texts`` drawn with replacement, each compared."""
    drawn = np.random.default_rng(_SEED).integers(len(places), size=(count, texts))
    sizes = bins.sizes()
    found = []
    for rows in drawn:
        columns = zip(STATISTICS, places[rows].T, strict=True)
        window = {name: np.bincount(column, minlength=sizes[name]).tolist() for name, column in columns}
        found.append(compare(baseline, window))
    return found


def _row(stream: str, places: Places, bins: Bins, baseline: Counts, texts: int, count: int) -> list[str]:
    found = windows(places, bins, baseline, texts=texts, count=count)
    alarms = sum(any(change.drifted for change in window) for window in found)
    indices = np.array([[change.psi for change in window] for window in found])
    ranges = [f"{np.median(each):.3f} / {each.max():.3f}" for each in indices.T]
    return [stream, f"{texts:,}", *ranges, f"{alarms} of {count}"]


def _table(rows: list[list[str]], test: int, dev: int) -> Table:
    return Table(
        title="Drift",
        reading=f"PSI of windows against a baseline of {test:,} texts, median / largest; drift is {PSI:g} or more "
        f"that is not by chance. The model's own texts are {dev:,} others, drawn with replacement.",
        head=["stream", "texts of a window", *STATISTICS, "windows that raise the alarm"],
        rows=rows,
    )


if __name__ == "__main__":
    raise SystemExit(main())
