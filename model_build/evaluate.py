"""What a variant of the model is worth: metrics, calibration, speed, and the statistics to measure drift against."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import confusion_matrix, f1_score

from model_build.clean import Dataset
from slipway.artifact import VARIANTS, Variant, model_file
from slipway.encoding import Encoded, Encoder, TokenIds
from slipway.predictor import Logits, Network, softmax

Labels = npt.NDArray[np.int64]

_BINS = 15  # of the calibration error, as in Guo et al. 2017, arXiv:1706.04599
_ROUNDS = 5
_TIMED: tuple[Variant, ...] = ("fp32", "int8")  # fp16 on a CPU is float32 with conversions: no time worth telling


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Every variant on the dev and test splits; the temperature is fitted on dev."""

    networks: dict[Variant, Network]
    encoded: dict[str, list[Encoded]]
    labels: dict[str, Labels]
    logits: dict[str, dict[Variant, Logits]]
    temperature: float

    def metrics(self) -> dict[str, dict[str, dict[str, float]]]:
        """By split and variant."""
        return {
            split: {v: metrics(values, self.labels[split], self.temperature) for v, values in by_variant.items()}
            for split, by_variant in self.logits.items()
        }


def evaluate(directory: Path, encoder: Encoder, dataset: Dataset, *, pad_id: int) -> Evaluation:
    """Run the three graphs in ``directory`` over the dev and test splits of ``dataset``."""
    threads = os.cpu_count() or 1
    networks = {v: Network(directory / model_file(v), pad_id=pad_id, threads=threads) for v in VARIANTS}
    splits = {name: dataset.splits[name] for name in ("dev", "test")}
    encoded = {name: encoder.encode([e.text for e in examples]) for name, examples in splits.items()}
    labels = {name: np.array([e.label for e in examples]) for name, examples in splits.items()}
    logits = {name: {v: n.logits([e.ids for e in encoded[name]]) for v, n in networks.items()} for name in splits}
    temperature = fit_temperature(logits["dev"]["fp32"], labels["dev"])
    return Evaluation(networks=networks, encoded=encoded, labels=labels, logits=logits, temperature=temperature)


def metrics(logits: Logits, labels: Labels, temperature: float) -> dict[str, float]:
    """Accuracy, macro F1, log loss (nats) and expected calibration error, all as shares of 1 but the log loss."""
    probabilities = softmax(logits / np.float32(temperature))
    predicted = probabilities.argmax(axis=1)
    log_probabilities = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return {
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        "log_loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "calibration_error": calibration_error(probabilities, labels),
    }


def calibration_error(probabilities: npt.NDArray[np.float32], labels: Labels) -> float:
    """Mean gap between confidence and accuracy over equally wide bins of confidence, weighted by their texts.

    >>> calibration_error(np.array([[0.8, 0.2]] * 5), np.array([0, 0, 0, 0, 1])) < 1e-6
    True
    """
    if not np.isfinite(probabilities).all():
        return float("nan")
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = (np.bincount(bins, confidence, _BINS) - np.bincount(bins, right, _BINS)) / len(labels)
    return float(np.abs(gaps).sum())


def fit_temperature(logits: Logits, labels: Labels) -> float:
    """The divisor of the logits that minimizes the log loss (temperature scaling, Guo et al. 2017).

    Kept within 0.05 and 20: on a split without an error the best one would be 0.
    """
    found = minimize_scalar(
        lambda log_t: metrics(logits, labels, float(np.exp(log_t)))["log_loss"],
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
    )
    return round(float(np.exp(found.x)), 4)


def confusion(logits: Logits, labels: Labels, names: Sequence[str]) -> list[list[int]]:
    """Rows are true labels, columns predicted ones."""
    matrix: list[list[int]] = confusion_matrix(labels, logits.argmax(1), labels=range(len(names))).tolist()
    return matrix


def baseline(encoder: Encoder, encoded: Sequence[Encoded], probabilities: Any, names: Sequence[str]) -> dict[str, Any]:
    """Label mix, confidence, length and unknown-token rate of the test split; no text."""
    token = getattr(encoder.tokenizer.model, "unk_token", None)
    unknown = encoder.tokenizer.token_to_id(token) if token else None
    ids = np.concatenate([e.ids for e in encoded])
    mix = np.bincount(probabilities.argmax(1), minlength=len(names)) / len(encoded)
    return {
        "texts": len(encoded),
        "label_mix": dict(zip(names, mix.round(6).tolist(), strict=True)),
        "confidence_deciles": np.quantile(probabilities.max(1), np.linspace(0, 1, 11)).round(6).tolist(),
        "token_deciles": np.quantile([e.tokens for e in encoded], np.linspace(0, 1, 11)).round(2).tolist(),
        "unknown_token_rate": float((ids == unknown).mean()) if unknown is not None else 0.0,
    }


def measure_speed(directory: Path, rows: Sequence[TokenIds], *, pad_id: int) -> dict[str, dict[str, float]]:
    """Milliseconds a text of fp32 and int8 at one thread, as ``time_networks`` takes them."""
    return time_networks({v: Network(directory / model_file(v), pad_id=pad_id) for v in _TIMED}, rows)


def time_networks(networks: Mapping[str, Network], rows: Sequence[TokenIds]) -> dict[str, dict[str, float]]:
    """Milliseconds a text: alone (median of all) and in packs (median of the rounds), the networks taking turns."""
    alone: dict[str, list[float]] = {name: [] for name in networks}
    packed: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(_ROUNDS):
        for name, network in networks.items():
            alone[name] += [_milliseconds(network, [row]) for row in rows]
            packed[name].append(_milliseconds(network, rows) / len(rows))
    return {name: {"ms_alone": _median(alone[name]), "ms_packed": _median(packed[name])} for name in networks}


def _median(values: list[float]) -> float:
    return round(float(np.median(values)), 3)


def _milliseconds(network: Network, rows: Sequence[TokenIds]) -> float:
    start = time.perf_counter()
    network.logits(rows)
    return (time.perf_counter() - start) * 1e3
