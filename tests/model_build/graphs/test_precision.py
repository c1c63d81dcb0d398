"""Every precision of every network opens, answers nearly the same, and keeps or breaks the promise about batches."""

from pathlib import Path

import numpy as np
import pytest

from model_build.graphs.export import save, to_onnx
from model_build.graphs.precision import to_precision
from model_build.sections import NetworkConfig, Precision
from model_build.training.networks import Classifier, EncoderClassifier, build_network
from slipway.network import Network
from tests.model_build.conftest import PAD, WORDS, random_rows, torch_answers

ROWS = random_rows(2, [*range(3, 35)])
TOLERANCE = {"fp32": 1e-4, "rows": 0.25, "dynamic": 0.6, "static": 0.6, "weights": 0.25}


def written(network: Classifier, precision: Precision, directory: Path) -> Path:
    path = directory / f"{precision}.onnx"
    save(to_precision(to_onnx(network), precision, random_rows(1, [*range(3, 35)] * 2)), path)
    return path


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


@pytest.mark.parametrize("precision", TOLERANCE)
def test_an_encoder_answers_nearly_the_same(bert: EncoderClassifier, tmp_path: Path, precision: Precision) -> None:
    answers = Network(written(bert, precision, tmp_path), pad_id=PAD).logits(ROWS)
    reference = torch_answers(bert, ROWS)
    assert np.abs(answers - reference).max() < TOLERANCE[precision] * np.ptp(reference)


@pytest.mark.parametrize("precision", ["fp32", "rows", "static", "weights"])
def test_no_answer_depends_on_the_batch(bert: EncoderClassifier, tmp_path: Path, precision: Precision) -> None:
    network = Network(written(bert, precision, tmp_path), pad_id=PAD)
    difference = np.abs(network.logits(ROWS, pack_tokens=1) - network.logits(ROWS, pack_tokens=10**9)).max()
    assert difference < 1e-5


def test_with_a_scale_a_batch_it_does(bert: EncoderClassifier, tmp_path: Path) -> None:
    """What ``rows`` is there for: if this passes no more, onnxruntime has changed and the grid should be read anew."""
    network = Network(written(bert, "dynamic", tmp_path), pad_id=PAD)
    assert np.abs(network.logits(ROWS, pack_tokens=1) - network.logits(ROWS, pack_tokens=10**9)).max() > 1e-3


@pytest.mark.parametrize("precision", ["rows", "dynamic", "static", "weights"])
@pytest.mark.parametrize("kind", ["pooled", "lstm", "transformer"])
def test_every_network_has_every_precision(tmp_path: Path, kind: str, precision: Precision) -> None:
    config = NetworkConfig.model_validate({"kind": kind, "width": 32, "hidden": 32, "bigrams": 2_000})
    network = build_network(config, labels=3, vocabulary=WORDS, pad_id=PAD, seed=1).eval()
    answers = Network(written(network, precision, tmp_path), pad_id=PAD).logits(ROWS)
    assert np.abs(answers - torch_answers(network, ROWS)).max() < 0.1


@pytest.mark.parametrize("precision", ["rows", "dynamic", "static"])
def test_eight_bits_are_smaller_than_thirty_two(bert: EncoderClassifier, tmp_path: Path, precision: Precision) -> None:
    assert size(written(bert, precision, tmp_path)) < 0.55 * size(written(bert, "fp32", tmp_path))
