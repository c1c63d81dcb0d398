"""The grid of networks and precisions, measured side by side, and the point of it that ships.

Everything is chosen on the dev split; the test accuracy stands beside it for the reader and decides nothing.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from model_build.compression.students import Trained
from model_build.evaluation.calibration import decide, to_probabilities
from model_build.evaluation.evaluate import time_networks
from model_build.evaluation.metrics import is_right
from model_build.graphs.export import save, to_onnx
from model_build.graphs.precision import to_precision
from model_build.graphs.sensitivity import Promise
from model_build.sections import CompressConfig, Precision
from model_build.training.rows import Rows
from slipway.artifact import Task
from slipway.encoding import TokenIds
from slipway.errors import GateFailed
from slipway.network import Network
from slipway.probabilities import Logits

BATCH = 32
_GRAPH = "model.onnx"
_TIMED_TEXTS = 64
_AS_FAST = 1.1  # times as long as the fastest: what timing the same network twice can make of it


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One network in one precision. ``dev`` and ``test`` are token ids and targets of the splits, in its own tokens."""

    recipe: str
    precision: Precision
    trained: Trained
    graph: Path
    dev: Rows
    test: Rows


@dataclass(frozen=True, kw_only=True)
class Point:
    """What a candidate is worth. Accuracies and flips are shares; ``ms`` is the median of a text alone, on one thread.

    ``flips`` are dev answers other than the same network's in fp32, ``batch_flips`` those that a batch of 32 changes.
    """

    recipe: str
    precision: Precision
    dev_accuracy: float
    test_accuracy: float
    flips: float
    batch_flips: float
    ms: float
    megabytes: float
    allowed: bool = False
    chosen: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


def write_candidates(
    recipe: str,
    trained: Trained,
    precisions: Sequence[Precision],
    *,
    calibration: Sequence[TokenIds],
    promise: Promise | None = None,
    dev: Rows,
    test: Rows,
    directory: Path,
) -> list[Candidate]:
    """Write the graph of ``trained`` in every precision; those that are there already are kept."""
    fp32: onnx.ModelProto | None = None
    made = []
    for precision in dict.fromkeys(("fp32", *precisions)):
        kept = directory / precision
        if not kept.exists():
            fp32 = fp32 or to_onnx(trained.network)
            partial = directory / f"{precision}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            save(to_precision(fp32, precision, calibration, promise), partial / _GRAPH)
            partial.rename(kept)
        made.append(
            Candidate(recipe=recipe, precision=precision, trained=trained, graph=kept / _GRAPH, dev=dev, test=test)
        )
    return made


def measure(candidates: Sequence[Candidate], task: Task) -> list[Point]:
    """Accuracy, flips, megabytes and milliseconds of each, all timed in turns, so that a busy moment hits all."""
    networks = [Network(c.graph, pad_id=c.trained.pad_id) for c in candidates]
    names = [f"{c.recipe} {c.precision}" for c in candidates]
    timed = {c.recipe: [c.test.tokens[i] for i in range(min(_TIMED_TEXTS, len(c.test)))] for c in candidates}
    speed = time_networks(
        dict(zip(names, networks, strict=True)),
        {name: timed[c.recipe] for name, c in zip(names, candidates, strict=True)},
    )
    del networks
    references: dict[str, Any] = {}
    points = []
    for candidate, name in zip(candidates, names, strict=True):
        network = Network(candidate.graph, pad_id=candidate.trained.pad_id, threads=os.cpu_count() or 1)
        answers = _answers(network, candidate.dev, task)
        reference = references.setdefault(candidate.recipe, answers)  # each recipe's fp32 comes first
        points.append(
            Point(
                recipe=candidate.recipe,
                precision=candidate.precision,
                dev_accuracy=_accuracy(answers, candidate.dev),
                test_accuracy=_accuracy(_answers(network, candidate.test, task), candidate.test),
                flips=1 - float(is_right(answers, reference).mean()),
                batch_flips=1 - float(is_right(_answers(network, candidate.dev, task, batch=BATCH), answers).mean()),
                ms=speed[name]["ms_alone"],
                megabytes=megabytes(candidate.graph),
            )
        )
    return points


def choose(points: Sequence[Point], config: CompressConfig, *, full: float, flips: float) -> list[Point]:
    """Mark what ``config.constraint`` allows, and the one point that ships.

    ``full`` is the dev accuracy of the full network in fp32. An answer must not depend on the batch either, and at most
    the share ``flips`` may be another than in fp32: a gate would refuse what the grid had chosen. Of points that are as
    fast or as small as one another the most accurate ships. Raises GateFailed if no point is allowed.
    """
    least = full - config.accuracy_drop / 100 - 1e-9

    def allows(point: Point) -> bool:
        return point.dev_accuracy >= least and point.batch_flips == 0 and point.flips <= flips

    marked = [_mark(point, allowed=allows(point)) for point in points]
    allowed = [point for point in marked if point.allowed]
    if not allowed:
        best = max(points, key=lambda point: point.dev_accuracy)
        raise GateFailed(
            f"No point of the grid meets {config.constraint!r}: the full network in fp32 has a dev accuracy of "
            f"{full:.4f}, the best point, {best.recipe} in {best.precision}, {best.dev_accuracy:.4f}.",
            remedy="Distil longer or with more unlabelled text, add larger recipes, or relax compress.constraint.",
        )

    def cost(point: Point) -> float:
        return point.ms if config.minimize == "latency" else point.megabytes

    bound = min(map(cost, allowed)) * (_AS_FAST if config.minimize == "latency" else 1)
    near = [point for point in allowed if cost(point) <= bound]
    chosen = max(near, key=lambda point: (point.dev_accuracy, -cost(point)))
    return [_mark(point, allowed=point.allowed, chosen=point is chosen) for point in marked]


def megabytes(graph: Path) -> float:
    """Size of a graph and its weights."""
    return round(sum(path.stat().st_size for path in graph.parent.glob(f"{graph.name}*")) / 1e6, 2)


def _mark(point: Point, *, allowed: bool, chosen: bool = False) -> Point:
    return Point(**{**asdict(point), "allowed": allowed, "chosen": chosen})


def _answers(network: Network, rows: Rows, task: Task, batch: int = 1) -> Any:
    """What is answered to each text alone, or among ``batch`` texts in the order of the split."""
    tokens = [rows.tokens[index] for index in range(len(rows))]
    if batch == 1:
        logits: Logits = network.logits(tokens, pack_tokens=1)
    else:
        packs = [tokens[i : i + batch] for i in range(0, len(tokens), batch)]
        logits = np.concatenate([network.logits(pack, pack_tokens=10**9) for pack in packs])
    return decide(to_probabilities(logits, task), task)


def _accuracy(answers: Any, rows: Rows) -> float:
    return float(is_right(answers, rows.targets).mean())
