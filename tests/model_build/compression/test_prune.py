"""Heads and neurons that matter least go, matrices shrink, and what is exported is what is left."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_build.compression.cut import layers_of
from model_build.compression.prune import Batch, plan_pruning, prune
from model_build.graphs.export import save, to_onnx
from model_build.recipe import Step
from model_build.sections import NetworkConfig
from model_build.training.networks import Classifier, EncoderClassifier, build_network
from slipway.errors import BuildError
from slipway.network import Network
from tests.model_build.conftest import PAD, WORDS, make_network, random_rows, torch_answers

HALF = Step(name="prune", heads=0.5, ffn=0.5)


def batches(count: int = 4) -> list[Batch]:
    generator = torch.Generator().manual_seed(0)
    return [
        {
            "input_ids": torch.randint(1, WORDS, (8, 12), generator=generator),
            "labels": torch.eye(3)[torch.randint(0, 3, (8,), generator=generator)],
        }
        for _ in range(count)
    ]


def silence(network: Classifier, layer: int, *, head: int, neurons: slice) -> None:
    """Heads and neurons whose outputs are multiplied with zero can go without any change."""
    part: Any = layers_of(network)[layer]
    size = part.attention.self.attention_head_size
    with torch.no_grad():
        part.attention.output.dense.weight[:, head * size : (head + 1) * size] = 0
        part.output.dense.weight[:, neurons] = 0


def test_what_has_no_effect_goes_and_nothing_changes(bert: EncoderClassifier) -> None:
    network = make_network()
    for layer in range(2):
        silence(network, layer, head=1, neurons=slice(0, 32))
    rows = random_rows(5, [4, 9, 17])
    before = torch_answers(network, rows)
    plan = plan_pruning(network, Step(name="prune", heads=0.75, ffn=0.5), batches(), "single-label")
    assert [layer["heads"] for layer in plan] == [[0, 2, 3]] * 2
    assert [layer["neurons"] for layer in plan] == [list(range(32, 64))] * 2
    prune(network, plan)
    assert np.abs(torch_answers(network, rows) - before).max() < 1e-5


def test_matrices_shrink_and_the_graph_says_what_torch_says(tmp_path: Path) -> None:
    network = make_network()
    weights = sum(weight.numel() for weight in layers_of(network).parameters())
    prune(network, plan_pruning(network, HALF, batches(), "single-label"))
    left = sum(weight.numel() for weight in layers_of(network).parameters())
    assert left < 0.55 * weights
    rows = random_rows(6, [3, 9, 30])
    save(to_onnx(network), tmp_path / "pruned.onnx")
    answers = Network(tmp_path / "pruned.onnx", pad_id=PAD).logits(rows)
    assert np.abs(answers - torch_answers(network, rows)).max() < 1e-4


def test_importance_needs_no_gradient_afterwards_and_changes_no_weight() -> None:
    network = make_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    plan_pruning(network, HALF, batches(), "single-label")
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(layer.attention.output.dense._forward_pre_hooks for layer in layers_of(network))


def test_a_head_and_some_neurons_are_always_left() -> None:
    plan = plan_pruning(make_network(), Step(name="prune", heads=0.01, ffn=0.01), batches(1), "single-label")
    assert [(len(layer["heads"]), len(layer["neurons"])) for layer in plan] == [(1, 16)] * 2


@pytest.mark.parametrize("kind", ["pooled", "lstm"])
def test_a_network_without_layers_cannot_be_pruned(kind: Any) -> None:
    network = build_network(NetworkConfig(kind=kind), labels=3, vocabulary=WORDS, pad_id=PAD, seed=1)
    with pytest.raises(BuildError, match="needs a Transformer"):
        plan_pruning(network, HALF, batches(1), "single-label")


def test_layers_of_another_make_are_refused_by_name() -> None:
    with pytest.raises(BuildError, match="DistilBertModel cannot be pruned"):
        plan_pruning(make_network("distilbert"), HALF, batches(1), "single-label")
