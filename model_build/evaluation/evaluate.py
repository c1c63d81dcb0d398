"""Every variant of the model on dev and test, its speed here, and the statistics to measure drift against."""

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_build.data.clean import Dataset
from model_build.evaluation import metrics
from model_build.evaluation.calibration import decide, fit_temperature, to_probabilities
from model_build.training.rows import Targets
from slipway.artifact import VARIANTS, Task, Variant, model_file
from slipway.drift.bins import UNKNOWN_EDGES, Bins
from slipway.encoding import Encoded, Encoder, TokenIds
from slipway.network import Network
from slipway.probabilities import Logits

_ROUNDS = 5
_TIMED: tuple[Variant, ...] = ("fp32", "int8")  # fp16 on a CPU is float32 with conversions: no time worth telling


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Every variant on the dev and test splits; the temperature is fitted on dev."""

    task: Task
    networks: dict[Variant, Network]
    encoded: dict[str, list[Encoded]]
    targets: dict[str, Targets]
    logits: dict[str, dict[Variant, Logits]]
    temperature: float

    def metrics(self) -> dict[str, dict[str, dict[str, float]]]:
        """By split and variant."""
        return {
            split: {
                variant: metrics.summary(self.probabilities(split, variant), self.targets[split], self.task)
                for variant in by_variant
            }
            for split, by_variant in self.logits.items()
        }

    def probabilities(self, split: str, variant: Variant) -> Any:
        """Calibrated, (texts, labels)."""
        return to_probabilities(self.logits[split][variant], self.task, self.temperature)


def evaluate(directory: Path, encoder: Encoder, dataset: Dataset, *, pad_id: int) -> Evaluation:
    """Run the three graphs in ``directory`` over the dev and test splits of ``dataset``."""
    threads = os.cpu_count() or 1
    networks = {v: Network(directory / model_file(v), pad_id=pad_id, threads=threads) for v in VARIANTS}
    splits = {name: dataset.splits[name] for name in ("dev", "test")}
    encoded = {name: encoder.encode(list(split.texts())) for name, split in splits.items()}
    targets = {name: split.targets() for name, split in splits.items()}
    logits = {name: {v: n.logits([e.ids for e in encoded[name]]) for v, n in networks.items()} for name in splits}
    return Evaluation(
        task=dataset.task,
        networks=networks,
        encoded=encoded,
        targets=targets,
        logits=logits,
        temperature=fit_temperature(logits["dev"]["fp32"], targets["dev"], dataset.task),
    )


def baseline(
    encoder: Encoder, encoded: Sequence[Encoded], probabilities: Any, *, labels: Sequence[str], task: Task
) -> dict[str, Any]:
    """Label mix, confidence, length and unknown-token rate of the test split; no text.

    ``drift`` has what traffic is compared with: see ``slipway.drift.bins``.
    """
    unknown = unknown_id(encoder)
    ids = np.concatenate([e.ids for e in encoded])
    answers = decide(probabilities, task)
    counts = np.bincount(answers, minlength=len(labels)) if answers.ndim == 1 else answers.sum(0)
    return {
        "texts": len(encoded),
        "label_mix": dict(zip(labels, (counts / len(encoded)).round(6).tolist(), strict=True)),
        "confidence_deciles": np.quantile(probabilities.max(1), np.linspace(0, 1, 11)).round(6).tolist(),
        "token_deciles": np.quantile([e.tokens for e in encoded], np.linspace(0, 1, 11)).round(2).tolist(),
        "unknown_token_rate": float((ids == unknown).mean()) if unknown is not None else 0.0,
        "drift": _drift_baseline(encoded, probabilities, labels, unknown),
    }


def unknown_id(encoder: Encoder) -> int | None:
    """The token that stands for what the vocabulary lacks; None if it lacks nothing."""
    model = json.loads(encoder.tokenizer.to_str())["model"]
    if model["type"] == "Unigram":
        return None if model.get("byte_fallback") else model.get("unk_id")
    token = model.get("unk_token")
    return encoder.tokenizer.token_to_id(token) if token else None


def _drift_baseline(
    encoded: Sequence[Encoded], probabilities: Any, labels: Sequence[str], unknown: int | None
) -> dict[str, Any]:
    """The bins of the texts, and how many are in each. A decile that is two is one: lengths are whole numbers."""
    tenths = np.linspace(0, 1, 11)[1:-1]
    edges = {
        "confidence": np.unique(np.quantile(probabilities.max(1), tenths).round(6)).tolist(),
        "tokens": np.unique(np.quantile([e.tokens for e in encoded], tenths).round(2)).tolist(),
        "unknown": list(UNKNOWN_EDGES),
    }
    bins = Bins(labels, edges, unknown)
    likeliest = zip(probabilities.argmax(1).tolist(), probabilities.max(1).tolist(), encoded, strict=True)
    counts = bins.count(bins.place(labels[label], confidence, e) for label, confidence, e in likeliest)
    return {"edges": edges, "counts": counts, "unknown_id": unknown}


def measure_speed(directory: Path, rows: Sequence[TokenIds], *, pad_id: int) -> dict[str, dict[str, float]]:
    """Milliseconds a text of fp32 and int8 at one thread, as ``time_networks`` takes them."""
    networks: dict[str, Network] = {v: Network(directory / model_file(v), pad_id=pad_id) for v in _TIMED}
    return time_networks(networks, dict.fromkeys(networks, rows))


def time_networks(
    networks: Mapping[str, Network], rows: Mapping[str, Sequence[TokenIds]]
) -> dict[str, dict[str, float]]:
    """Milliseconds a text: alone (median of all) and in packs (median of the rounds), the networks taking turns."""
    alone: dict[str, list[float]] = {name: [] for name in networks}
    packed: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(_ROUNDS):
        for name, network in networks.items():
            alone[name] += [_milliseconds(network, [row]) for row in rows[name]]
            packed[name].append(_milliseconds(network, rows[name]) / len(rows[name]))
    return {name: {"ms_alone": _median(alone[name]), "ms_packed": _median(packed[name])} for name in networks}


def cpu_name() -> str:
    """The processor's own name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _median(values: list[float]) -> float:
    return round(float(np.median(values)), 3)


def _milliseconds(network: Network, rows: Sequence[TokenIds]) -> float:
    start = time.perf_counter()
    network.logits(rows)
    return (time.perf_counter() - start) * 1e3
