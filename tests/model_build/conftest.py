"""The command line in this process, and small random classifiers to export and quantize."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from model_build import cli
from model_build.training.networks import Classifier, EncoderClassifier
from slipway.encoding import TokenIds

# Before torch is loaded: on cores that others use as well, threads that spin while they wait take ten times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

PAD = 0
WORDS = 1_200


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Stdout as the one JSON document that it must be."""
        return json.loads(self.out)


Run = Callable[..., Outcome]
MakeNetwork = Callable[..., EncoderClassifier]


@pytest.fixture
def slipway(capsys: pytest.CaptureFixture[str]) -> Run:
    """``slipway …`` in this process. An exception that escapes fails the test: a user would see a traceback."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(exit_info.value.code or 0), captured.out, captured.err)

    return run


def assert_refused(outcome: Outcome, *words: str) -> None:
    """Exit code 1 and one line on stderr that holds ``words``; stdout may tell of the stages before."""
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err


def make_network(model_type: str = "bert", *, spread: float = 0.2, **sizes: Any) -> EncoderClassifier:
    """A random classifier whose logits really depend on every part of it."""
    import torch
    from transformers import AutoConfig, AutoModel

    if model_type == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64} | sizes
    else:
        sizes = {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "type_vocab_size": 2,
        } | sizes
    torch.manual_seed(3)
    config = AutoConfig.for_model(
        model_type, vocab_size=WORDS, max_position_embeddings=64, initializer_range=spread, **sizes
    )
    network = EncoderClassifier(AutoModel.from_config(config), labels=3, pad_id=PAD, dropout=0.1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias") or "norm" in name.lower():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return network.eval()


def random_rows(seed: int, lengths: list[int]) -> list[TokenIds]:
    """Token ids without padding, one row for each length."""
    numbers = np.random.default_rng(seed)
    return [numbers.integers(PAD + 1, WORDS, length).astype(np.int32) for length in lengths]


def torch_answers(network: Classifier, rows: list[TokenIds]) -> Any:
    """Reference logits, a row at a time, without padding."""
    import torch

    with torch.inference_mode():
        return np.concatenate([network(torch.from_numpy(row[None]).long()).numpy() for row in rows])


@pytest.fixture(scope="session")
def bert() -> EncoderClassifier:
    return make_network()


@pytest.fixture(scope="session")
def bert_graphs(bert: EncoderClassifier, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The fp32, int8 and fp16 graphs of ``bert``."""
    return write_variants(bert, tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def distilbert() -> EncoderClassifier:
    return make_network("distilbert")


@pytest.fixture(scope="session")
def distilbert_graphs(distilbert: EncoderClassifier, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The graphs of an encoder that only the exporter can write."""
    return write_variants(distilbert, tmp_path_factory.mktemp("distilbert"))


def write_variants(network: EncoderClassifier, directory: Path) -> dict[str, Path]:
    """All three variants of a network, calibrated on random rows, and int8 by what has fixed scales."""
    from model_build.graphs.calibrate import observe
    from model_build.graphs.export import save, to_onnx
    from model_build.graphs.fuse import to_float16
    from model_build.graphs.quantize import quantize_rows

    fp32 = to_onnx(network)
    observed = observe(fp32, [row[None] for row in random_rows(1, [*range(3, 35)] * 2)])
    graphs = {
        "fp32": fp32,
        "int8": quantize_rows(fp32, observed),
        "normalized": quantize_rows(fp32, observed, fixed="normalized"),
        "everything": quantize_rows(fp32, observed, fixed="everything"),
        "fp16": to_float16(fp32),
    }
    for variant, graph in graphs.items():
        save(graph, directory / f"{variant}.onnx")
    return {variant: directory / f"{variant}.onnx" for variant in graphs}


def initializers(path: Path) -> Iterator[tuple[str, Any]]:
    """Names and values of a graph's constants."""
    for tensor in onnx.load(path).graph.initializer:
        yield tensor.name, onnx.numpy_helper.to_array(tensor)
