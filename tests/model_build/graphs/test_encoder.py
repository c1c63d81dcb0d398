"""The graph written by hand against torch, over shapes, activations and padding."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from transformers import AutoConfig

from model_build.graphs.encoder import supports
from model_build.graphs.export import save, to_onnx
from model_build.training.networks import EncoderClassifier
from slipway.network import Network, pad
from tests.model_build.conftest import PAD, make_network, random_rows, torch_answers

LENGTHS = [2, 3, 7, 7, 31, 64]


@pytest.mark.parametrize("activation", ["gelu", "relu", "gelu_new", "gelu_pytorch_tanh"])
@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 32, "num_attention_heads": 1, "num_hidden_layers": 1, "intermediate_size": 16},
        {"hidden_size": 48, "num_attention_heads": 6, "num_hidden_layers": 2, "intermediate_size": 100},
        {"hidden_size": 64, "num_attention_heads": 16, "num_hidden_layers": 3, "intermediate_size": 64},
        {"hidden_size": 40, "num_attention_heads": 8, "num_hidden_layers": 2, "type_vocab_size": 1},
    ],
    ids=["1 head", "6 heads", "16 heads", "1 token type"],
)
def test_the_direct_graph_computes_what_torch_computes(tmp_path: Path, activation: str, sizes: dict[str, Any]) -> None:
    network = make_network(hidden_act=activation, layer_norm_eps=1e-6, **sizes)
    save(to_onnx(network), tmp_path / "graph.onnx")
    graph = Network(tmp_path / "graph.onnx", pad_id=PAD)
    rows = random_rows(2, LENGTHS)
    expected = torch_answers(network, rows)
    assert np.ptp(expected, axis=0).min() > 0.01  # the texts differ, so that equal answers mean something
    for pack_tokens in (1, 10_000):  # alone, and all in one padded batch
        assert np.abs(graph.logits(rows, pack_tokens=pack_tokens) - expected).max() < 1e-4


@pytest.mark.parametrize("extra", [1, 5, 30])
def test_more_padding_changes_nothing(bert_graphs: dict[str, Path], extra: int) -> None:
    session = ort.InferenceSession(str(bert_graphs["fp32"]), providers=["CPUExecutionProvider"])
    ids = pad(random_rows(4, [5, 30]), PAD)
    wider = np.pad(ids, [(0, 0), (0, extra)], constant_values=PAD)
    (narrow,), (wide,) = (session.run(["logits"], {"input_ids": each}) for each in (ids, wider))
    assert np.abs(narrow - wide).max() < 1e-5


def test_another_padding_id_is_heeded(tmp_path: Path) -> None:
    network = make_network()
    network.pad_id = 7
    save(to_onnx(network), tmp_path / "graph.onnx")
    rows = [np.where(row == 7, 8, row).astype(np.int32) for row in random_rows(6, [4, 40])]
    expected = torch_answers(network, rows)
    assert np.abs(Network(tmp_path / "graph.onnx", pad_id=7).logits(rows) - expected).max() < 1e-4


def test_the_signature_is_int32_ids_to_float_logits(bert_graphs: dict[str, Path]) -> None:
    for path in bert_graphs.values():
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (ids,), (logits,) = session.get_inputs(), session.get_outputs()
        assert (ids.name, ids.type, len(ids.shape)) == ("input_ids", "tensor(int32)", 2)
        assert (logits.name, logits.type) == ("logits", "tensor(float)")
        assert logits.shape[1] == 3


def test_the_graph_is_valid_onnx_and_has_no_fused_skip_norm(bert: EncoderClassifier) -> None:
    model = to_onnx(bert)
    onnx.checker.check_model(model)
    operators = {node.op_type for node in model.graph.node}
    assert {"LayerNormalization", "Gelu"} <= operators
    assert not {"SkipLayerNormalization", "BiasGelu"} & operators  # slower on a CPU: facts.md


@pytest.mark.parametrize(
    ("model_type", "options", "supported"),
    [
        ("bert", {}, True),
        ("bert", {"hidden_act": "relu"}, True),
        ("bert", {"hidden_act": "gelu_new"}, True),
        ("bert", {"hidden_act": "silu"}, False),
        ("bert", {"is_decoder": True}, False),
        ("bert", {"position_embedding_type": "relative_key"}, False),
        ("distilbert", {}, False),
        ("roberta", {}, False),
        ("electra", {}, False),
    ],
)
def test_only_encoders_it_can_write_are_taken(model_type: str, options: dict[str, Any], supported: bool) -> None:
    config = AutoConfig.for_model(model_type)
    for name, value in options.items():
        setattr(config, name, value)
    if model_type == "distilbert":
        config.hidden_act = "gelu"
    assert supports(config) is supported
