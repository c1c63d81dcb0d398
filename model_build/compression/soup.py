"""One network out of several trainings: the mean of their weights, which costs nothing when it serves.

Trainings of one base with other seeds end in one basin, where the mean is at least as good as the best of them: "greedy
soup" of Wortsman et al. 2022, arXiv:2203.05482.
"""

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from model_build.training.networks import Classifier

Weights = Mapping[str, Tensor]


def mean_weights(networks: Sequence[Classifier]) -> dict[str, Tensor]:
    """The mean of each weight over the networks, which are of one architecture."""
    states = [network.state_dict() for network in networks]
    return {name: torch.stack([state[name].float() for state in states]).mean(0) for name in states[0]}


def choose(
    networks: Sequence[Classifier], scores: Sequence[float], score: Callable[[Classifier], float]
) -> tuple[int, ...]:
    """Which of the networks the soup is made of: from the best down, each that does not lower the dev score.

    ``scores`` are those of the networks alone.
    """
    best, *others = sorted(range(len(networks)), key=lambda index: -scores[index])
    kept: tuple[int, ...] = (best,)
    reached = scores[best]
    mixed = copy.deepcopy(networks[best])
    for index in others:
        mixed.load_state_dict(mean_weights([networks[i] for i in (*kept, index)]))
        if (found := score(mixed)) >= reached:
            kept, reached = (*kept, index), found
    return kept
