"""Every network maps token ids to logits, whatever shares the batch, and exports to a graph that says the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model_build.config import NetworkConfig
from model_build.graphs.export import save, to_onnx
from model_build.training.networks import Classifier, EncoderClassifier, build_network
from slipway.errors import BuildError
from slipway.network import Network, pad
from tests.model_build.conftest import PAD, WORDS, random_rows, torch_answers


def config(base: Path | str, max_tokens: int = 32) -> NetworkConfig:
    return NetworkConfig(base=str(base), max_tokens=max_tokens)


def test_padding_does_not_change_an_answer(bert: EncoderClassifier) -> None:
    rows = random_rows(0, [3, 9, 20, 40])
    with torch.inference_mode():
        together = bert(torch.from_numpy(pad(rows, PAD)).long()).numpy()
    assert np.abs(together - torch_answers(bert, rows)).max() < 1e-5


def test_the_answer_is_the_head_on_the_mean_of_the_last_states(bert: EncoderClassifier) -> None:
    ids = torch.from_numpy(random_rows(5, [11])[0][None]).long()
    with torch.inference_mode():
        states = bert.encoder(input_ids=ids).last_hidden_state
        assert torch.allclose(bert(ids), bert.head(states.mean(1)), atol=1e-5)


def test_the_head_is_drawn_from_the_seed(tiny_base: Path) -> None:
    heads = [
        build_network(config(tiny_base), labels=2, vocabulary=0, pad_id=0, seed=seed).head.weight for seed in (1, 1, 2)
    ]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_a_limit_beyond_the_base_is_refused_with_both_numbers(tiny_base: Path) -> None:
    with pytest.raises(BuildError, match=r"max_tokens = 65.*at most 64"):
        build_network(config(tiny_base, 65), labels=2, vocabulary=0, pad_id=0, seed=1)


def test_positions_beyond_the_limit_are_left_out_and_no_answer_changes(tiny_base: Path) -> None:
    short, whole = (
        build_network(config(tiny_base, n), labels=2, vocabulary=0, pad_id=PAD, seed=1).eval() for n in (32, 64)
    )
    assert short.encoder.embeddings.position_embeddings.num_embeddings == 32
    rows = [row % 100 + 1 for row in random_rows(3, [2, 9, 32])]
    assert np.array_equal(torch_answers(short, rows), torch_answers(whole, rows))
    positions = {weight.name: weight.dims[0] for weight in to_onnx(short).graph.initializer}["positions.weight"]
    assert positions == 32


SCRATCH = {
    "pooled": NetworkConfig(kind="pooled", width=16, hidden=24),
    "pooled with pairs": NetworkConfig(kind="pooled", width=16, hidden=24, bigrams=5_000),
    "lstm": NetworkConfig(kind="lstm", width=16, hidden=12),
    "two layers of lstm": NetworkConfig(kind="lstm", width=16, hidden=12, layers=2),
    "transformer": NetworkConfig(kind="transformer", width=16, hidden=24, heads=2, layers=2, max_tokens=64),
}


def from_scratch(name: str, seed: int = 1) -> Classifier:
    return build_network(SCRATCH[name], labels=3, vocabulary=WORDS, pad_id=PAD, seed=seed).eval()


@pytest.mark.parametrize("name", SCRATCH)
def test_a_network_from_scratch_answers_the_same_alone_and_among_longer_texts(name: str) -> None:
    network, rows = from_scratch(name), random_rows(0, [2, 3, 9, 20, 40])
    with torch.inference_mode():
        together = network(torch.from_numpy(pad(rows, PAD)).long()).numpy()
    assert together.shape == (5, 3)
    assert np.abs(together - torch_answers(network, rows)).max() < 1e-5


@pytest.mark.parametrize("name", SCRATCH)
def test_its_graph_says_what_torch_says(name: str, tmp_path: Path) -> None:
    network, rows = from_scratch(name), random_rows(1, [*range(2, 30)])
    save(to_onnx(network), tmp_path / "model.onnx")
    answers = Network(tmp_path / "model.onnx", pad_id=PAD).logits(rows)
    assert np.abs(answers - torch_answers(network, rows)).max() < 1e-5
    assert np.ptp(answers, axis=0).min() > 1e-4  # it does depend on the text


@pytest.mark.parametrize("name", SCRATCH)
def test_it_is_drawn_from_the_seed(name: str) -> None:
    first, again, other = (from_scratch(name, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_pairs_of_tokens_tell_apart_what_single_tokens_cannot() -> None:
    ids = torch.tensor([[5, 6, 7], [7, 6, 5]])
    with torch.inference_mode():
        plain, paired = (from_scratch(name)(ids) for name in ("pooled", "pooled with pairs"))
    assert torch.allclose(plain[0], plain[1], atol=1e-6)
    assert not torch.allclose(paired[0], paired[1], atol=1e-6)
