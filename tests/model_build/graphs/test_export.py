"""Encoders that only the exporter can write: the same signature, the same answers, the same int8."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from model_build.graphs.export import save, to_onnx
from model_build.sections import NetworkConfig
from model_build.training.networks import EncoderClassifier, build_network
from slipway.network import Network
from tests.model_build.conftest import PAD, initializers, make_network, random_rows, torch_answers

LENGTHS = [2, 3, 9, 9, 31, 60]


def test_an_exported_encoder_computes_what_torch_computes(
    distilbert: EncoderClassifier, distilbert_graphs: dict[str, Path]
) -> None:
    rows = random_rows(2, LENGTHS)
    expected = torch_answers(distilbert, rows)
    graph = Network(distilbert_graphs["fp32"], pad_id=PAD)
    for pack_tokens in (1, 10_000):
        assert np.abs(graph.logits(rows, pack_tokens=pack_tokens) - expected).max() < 1e-4


@pytest.mark.parametrize("variant", ["fp32", "int8", "fp16"])
def test_the_signature_is_that_of_the_direct_graph(
    bert_graphs: dict[str, Path], distilbert_graphs: dict[str, Path], variant: str
) -> None:
    signatures = []
    for graphs in (bert_graphs, distilbert_graphs):
        session = ort.InferenceSession(str(graphs[variant]), providers=["CPUExecutionProvider"])
        (ids,), (logits,) = session.get_inputs(), session.get_outputs()
        signatures.append((ids.name, ids.type, len(ids.shape), logits.name, logits.type))
    assert signatures[0] == signatures[1]


def test_int8_of_an_exported_encoder_has_int8_products_and_does_not_depend_on_the_batch(
    distilbert_graphs: dict[str, Path],
) -> None:
    nodes = [node.op_type for node in onnx.load(distilbert_graphs["int8"]).graph.node]
    assert nodes.count("MatMulIntegerToFloat") >= 8  # 2 layers of output, inner, outer, and at least one of Q, K and V
    assert not any("DynamicQuantize" in node for node in nodes)  # it takes one scale over the whole batch
    rows = random_rows(9, LENGTHS)
    graph = Network(distilbert_graphs["int8"], pad_id=PAD)
    assert np.abs(graph.logits(rows, pack_tokens=1) - graph.logits(rows, pack_tokens=10_000)).max() < 1e-5


@pytest.mark.parametrize("variant", ["int8", "fp16"])
def test_smaller_variants_of_an_exported_encoder_stay_near(distilbert_graphs: dict[str, Path], variant: str) -> None:
    rows = random_rows(9, LENGTHS)
    fp32, small = (Network(distilbert_graphs[v], pad_id=PAD).logits(rows) for v in ("fp32", variant))
    bound = 0.01 if variant == "fp16" else 0.1
    assert np.abs(fp32 - small).max() < bound * np.ptp(fp32)


def test_roberta_whose_positions_depend_on_padding_agrees_with_torch(tmp_path: Path) -> None:
    network = make_network("roberta", pad_token_id=PAD)
    save(to_onnx(network), tmp_path / "graph.onnx")
    rows = random_rows(2, [2, 9, 31])
    answers = Network(tmp_path / "graph.onnx", pad_id=PAD).logits(rows, pack_tokens=10_000)
    assert np.abs(answers - torch_answers(network, rows)).max() < 1e-4


def test_large_weights_lie_beside_the_graph_and_saving_leaves_the_model_whole(
    bert: EncoderClassifier, tmp_path: Path
) -> None:
    model = to_onnx(bert)
    before = model.SerializeToString()
    save(model, tmp_path / "model.onnx")
    assert model.SerializeToString() == before
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "model.onnx.data"}
    assert (tmp_path / "model.onnx").stat().st_size < 40_000
    weights = sum(value.nbytes for _, value in initializers(tmp_path / "model.onnx"))
    assert (tmp_path / "model.onnx.data").stat().st_size > 0.9 * weights


def test_saving_twice_gives_the_same_bytes(bert: EncoderClassifier, tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save(to_onnx(bert), tmp_path / name / "model.onnx")
        written.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    assert written[0] == written[1]


def test_weights_can_be_read_by_another_user(tiny_artifact: Path) -> None:
    """A function is not the user who built the artifact."""
    unreadable = [path.name for path in tiny_artifact.iterdir() if not path.stat().st_mode & 0o004]
    assert unreadable == []


def test_the_smallest_network_has_a_file_of_weights_too(tmp_path: Path) -> None:
    """An artifact without one would be refused."""
    config = NetworkConfig(kind="pooled", width=8, hidden=8)
    network = build_network(config, labels=2, vocabulary=20, pad_id=PAD, seed=1).eval()
    save(to_onnx(network), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx.data").stat().st_size > 0
    rows = [row % 20 for row in random_rows(2, [3, 9])]
    answers = Network(tmp_path / "model.onnx", pad_id=PAD).logits(rows)
    assert np.abs(answers - torch_answers(network, rows)).max() < 1e-5
