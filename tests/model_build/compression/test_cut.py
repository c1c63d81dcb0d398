"""Layers are left out in place, the least needed first, and the graph gets smaller with them."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from model_build.compression.cut import cut, keep_layers, layers_of
from model_build.graphs.export import save, to_onnx
from model_build.recipe import Step
from model_build.sections import NetworkConfig
from model_build.training.networks import Classifier, EncoderClassifier, build_network
from slipway.errors import BuildError
from slipway.network import Network
from tests.model_build.conftest import PAD, WORDS, make_network, random_rows, torch_answers


def transformer(layers: int = 4) -> EncoderClassifier:
    return make_network(num_hidden_layers=layers)


def without_effect(network: Classifier, index: int) -> None:
    """Make a layer return what it is given, before its normalizations."""
    layer = layers_of(network)[index]
    with torch.no_grad():
        for linear in (layer.attention.output.dense, layer.output.dense):
            linear.weight.zero_()
            linear.bias.zero_()


def test_the_layers_named_are_kept_in_their_order() -> None:
    network = transformer()
    before = list(layers_of(network))
    kept, costs = cut(network, Step(name="cut", layers=(0, 2)), lambda _: 0.0)
    assert (kept, costs) == ((0, 2), [])
    assert [id(layer) for layer in layers_of(network)] == [id(before[0]), id(before[2])]
    assert network.encoder.config.num_hidden_layers == 2


@pytest.mark.parametrize("model_type", ["bert", "distilbert"])
def test_a_cut_network_answers_and_exports_the_same(model_type: str, tmp_path: Path) -> None:
    network = make_network(model_type)
    rows = random_rows(3, [3, 8, 20])
    whole = torch_answers(network, rows)
    keep_layers(network, [1])
    save(to_onnx(network), tmp_path / "cut.onnx")
    answers = torch_answers(network, rows)
    assert np.abs(Network(tmp_path / "cut.onnx", pad_id=PAD).logits(rows) - answers).max() < 1e-4
    assert np.abs(answers - whole).max() > 1e-3


@pytest.mark.parametrize(("keep", "count"), [(3, 3), (0.5, 2), (0.1, 1), (4, 4)])
def test_a_number_or_a_share_of_layers_is_kept(keep: float, count: int) -> None:
    network = transformer()
    kept, _ = cut(network, Step(name="cut", keep=keep), lambda _: 0.5)
    assert len(kept) == count == len(layers_of(network))


def test_the_layer_that_does_nothing_goes_first_and_every_trial_is_reported() -> None:
    network = transformer()
    without_effect(network, 2)
    rows = random_rows(4, [5, 9, 12])
    whole = torch_answers(network, rows)
    kept, costs = cut(network, Step(name="cut", keep=2), lambda n: -float(np.abs(torch_answers(n, rows) - whole).max()))
    assert 2 not in kept
    assert [len(cost["layers"]) for cost in costs] == [3] * 4 + [2] * 3
    best = max(costs[:4], key=lambda cost: cost["dev_score"])
    assert best["layers"] == [0, 1, 3]


def test_a_search_leaves_another_network_alone() -> None:
    network = transformer()
    other = copy.deepcopy(network)
    cut(network, Step(name="cut", keep=1), lambda _: 0.0)
    assert len(layers_of(other)) == 4


@pytest.mark.parametrize("step", [Step(name="cut", layers=(0, 4)), Step(name="cut", keep=5)])
def test_layers_that_are_not_there_are_refused_by_number(step: Step) -> None:
    with pytest.raises(BuildError, match=r"layer 4; there are 4"):
        cut(transformer(), step, lambda _: 0.0)


def test_a_network_without_layers_is_refused_with_a_remedy() -> None:
    network = build_network(NetworkConfig(kind="pooled"), labels=2, vocabulary=WORDS, pad_id=PAD, seed=1)
    with pytest.raises(BuildError, match=r"PooledClassifier has no layers.*\[student\]"):
        cut(network, Step(name="cut", keep=1), lambda _: 0.0)
