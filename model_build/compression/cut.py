"""Fewer layers: which of them a trained encoder can do without, and the encoder without them."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from model_build.recipe import Step
from model_build.training.networks import Classifier
from slipway.errors import BuildError

Score = Callable[[Classifier], float]
LayerCost = dict[str, Any]

_STACKS = ("encoder.layer", "transformer.layer", "layers")  # BERT and its kin; DistilBERT; ModernBERT
_COUNTS = ("num_hidden_layers", "n_layers")


def cut(network: Classifier, step: Step, score: Score) -> tuple[tuple[int, ...], list[LayerCost]]:
    """Leave layers out of ``network``, in place. Returns those that are kept, and what each set that was tried scores.

    Without explicit layers they are left out one at a time, each time the one without which ``score`` is highest: the
    number of trials grows with the square of the layers, not with their combinations. Raises BuildError for a network
    that has no layers to cut, or not those.
    """
    stack = layers_of(network)
    kept = step.layers or tuple(range(len(stack)))
    if kept[-1] >= len(stack) or (not step.layers and step.keep > len(stack)):
        raise BuildError(f"A recipe keeps layer {max(kept[-1], int(step.keep) - 1)}; there are {len(stack)}, from 0.")
    costs: list[LayerCost] = []
    if not step.layers:
        count = int(step.keep) if step.keep >= 1 else max(1, round(step.keep * len(stack)))
        kept = _search(network, count, score, costs)
    keep_layers(network, kept)
    return kept, costs


def layers_of(network: Classifier) -> nn.ModuleList:
    """The stack of layers of a Transformer. Raises BuildError if there is none."""
    encoder = getattr(network, "encoder", None)
    for path in _STACKS:
        stack = encoder
        for part in path.split("."):
            stack = getattr(stack, part, None)
        if isinstance(stack, nn.ModuleList):
            return stack
    raise BuildError(
        f"{type(network).__name__} has no layers that can be left out.",
        remedy="A recipe with cut or prune needs a Transformer; distil a [student] instead.",
    )


def keep_layers(network: Classifier, kept: Sequence[int]) -> None:
    """Only the layers ``kept``, in place. Raises BuildError if there is no such layer."""
    stack = layers_of(network)
    if max(kept) >= len(stack):
        raise BuildError(f"Layer {max(kept)} is to be kept; there are {len(stack)}, from 0.")
    _put(network, [stack[index] for index in kept])


def _put(network: Classifier, layers: Sequence[nn.Module]) -> None:
    stack = layers_of(network)
    del stack[:]
    stack.extend(layers)
    config = network.encoder.config
    for name in _COUNTS:
        if hasattr(config, name):
            setattr(config, name, len(layers))


def _search(network: Classifier, count: int, score: Score, costs: list[LayerCost]) -> tuple[int, ...]:
    whole = list(layers_of(network))

    def score_with(layers: tuple[int, ...]) -> float:
        _put(network, [whole[index] for index in layers])
        return score(network)

    kept = tuple(range(len(whole)))
    while len(kept) > count:
        tried = [kept[:i] + kept[i + 1 :] for i in range(len(kept))]
        scores = [score_with(layers) for layers in tried]
        costs += [{"layers": list(a), "dev_score": round(b, 6)} for a, b in zip(tried, scores, strict=True)]
        kept = tried[max(range(len(tried)), key=scores.__getitem__)]
    _put(network, whole)
    return kept
