"""Measurements of GPUs: what a file has to say, and what is refused."""

import doctest
import json
from pathlib import Path
from typing import Any

import pytest

from model_build.reporting import cost_gpus
from model_build.reporting.cost_gpus import Speed, of_length, parse_speed, read_speeds
from slipway.prices import PriceError

ENTRY = {"instance": "ml.g5.xlarge", "tokens": 32, "texts_per_second": 4100, "latency_ms": 9.5}


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_examples() -> None:
    assert doctest.testmod(cost_gpus).failed == 0


def test_a_file_says_who_measured_what(tmp_path: Path) -> None:
    path = write(tmp_path / "gpus.json", {"by": "a run on an A10G", "measured": [ENTRY, ENTRY | {"latency_ms": None}]})
    first, second = read_speeds(path)
    assert first == Speed(
        instance="ml.g5.xlarge", tokens=32, texts_per_second=4100.0, latency_ms=9.5, by="a run on an A10G"
    )
    assert second.latency_ms is None


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({}, "measured"),
        ([], "no measurements"),
        ({"measured": [{"instance": "ml.g5.xlarge"}]}, "tokens"),
        ({"measured": [ENTRY | {"texts_per_second": 0}]}, "texts_per_second"),
        ({"measured": [ENTRY | {"texts_per_second": float("nan")}]}, "nan"),
        ({"measured": [ENTRY | {"texts_per_second": "fast"}]}, "no measurements"),
        ({"measured": [ENTRY | {"latency_ms": -1}]}, "latency_ms"),
        ({"measured": 3}, "no measurements"),
    ],
)
def test_what_is_no_measurement_is_refused(tmp_path: Path, content: Any, word: str) -> None:
    with pytest.raises(PriceError, match=word):
        read_speeds(write(tmp_path / "gpus.json", content))


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match=r"none.json"):
        read_speeds(tmp_path / "none.json")


@pytest.mark.parametrize("given", ["ml.g5.xlarge", "ml.g5.xlarge=", "ml.g5.xlarge=fast", "=="])
def test_what_is_no_pair_is_refused(given: str) -> None:
    with pytest.raises(PriceError, match="--gpu"):
        parse_speed(given, 32)


@pytest.mark.parametrize("number", ["0", "-5", "nan", "inf"])
def test_no_gpu_answers_so_many(number: str) -> None:
    with pytest.raises(PriceError, match="above zero"):
        parse_speed(f"ml.g5.xlarge={number}", 32)


def test_only_measurements_of_the_same_length_count(tmp_path: Path) -> None:
    speeds = [Speed(instance="a", tokens=tokens, texts_per_second=1.0) for tokens in (16, 32)]
    assert of_length(speeds, 32, tmp_path) == speeds[1:]
    with pytest.raises(PriceError, match=r"16, 32 tokens and none of 64"):
        of_length(speeds, 64, tmp_path)
