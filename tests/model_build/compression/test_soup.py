"""Which networks a soup is made of."""

import copy

import torch

from model_build.compression.soup import choose, mean_weights
from model_build.training.networks import Classifier
from tests.model_build.conftest import make_network


def shifted(network: Classifier, by: float) -> Classifier:
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.head.bias += by
    return other


def test_the_mean_is_taken_of_every_weight() -> None:
    network = make_network()
    mean = mean_weights([network, shifted(network, 1.0), shifted(network, 2.0)])
    assert torch.allclose(mean["head.bias"], network.head.bias + 1.0)
    assert torch.allclose(mean["head.weight"], network.head.weight)


def test_who_would_lower_the_score_is_left_out() -> None:
    network = make_network()
    zero = float(network.head.bias[0].detach())

    def score(mixed: Classifier) -> float:  # best where the mean shift is 1
        return 1 - abs(float(mixed.head.bias[0].detach()) - zero - 1)

    shifts = [0.9, 5.0, 1.1, 0.0]
    networks = [shifted(network, shift) for shift in shifts]
    assert choose(networks, [score(n) for n in networks], score) == (0, 2)
    assert choose(networks[:1], [0.5], score) == (0,)
