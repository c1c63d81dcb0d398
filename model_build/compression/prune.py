"""Fewer attention heads and fewer neurons in each layer: matrices really shrink, nothing is merely set to zero.

What goes is what the loss would miss least: |activation * gradient|, the first order of what setting it to zero changes
(Michel et al. 2019, arXiv:1905.10650, for heads; Molchanov et al. 2019, arXiv:1906.10771, for neurons).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from model_build.compression.cut import layers_of
from model_build.recipe import Step
from model_build.training.networks import Classifier
from model_build.training.trainer import target_loss
from slipway.artifact import Task
from slipway.errors import BuildError

Batch = dict[str, Tensor]
Plan = list[dict[str, list[int]]]

_MULTIPLE = 16  # neurons kept come in this many, as the vector units of CPUs like them


def plan_pruning(network: Classifier, step: Step, batches: Iterable[Batch], task: Task) -> Plan:
    """For each layer the indices of ``heads`` and ``neurons`` to keep, by their importance on ``batches``.

    Raises BuildError for an encoder whose layers are not built as BERT's are.
    """
    importance = _importance(network, batches, task)
    plan: Plan = []
    for heads, neurons in importance:
        count = max(_MULTIPLE, round(step.ffn * len(neurons) / _MULTIPLE) * _MULTIPLE)
        plan.append(
            {"heads": _largest(heads, max(1, round(step.heads * len(heads)))), "neurons": _largest(neurons, count)}
        )
    return plan


def prune(network: Classifier, plan: Plan) -> None:
    """Keep only what ``plan`` names, in place."""
    for layer, kept in zip(_bert_layers(network), plan, strict=True):
        attention: Any = layer.attention.self
        size = attention.attention_head_size
        rows = torch.tensor([head * size + i for head in kept["heads"] for i in range(size)])
        for name in ("query", "key", "value"):
            setattr(attention, name, _keep_outputs(getattr(attention, name), rows))
        layer.attention.output.dense = _keep_inputs(layer.attention.output.dense, rows)
        attention.num_attention_heads, attention.all_head_size = len(kept["heads"]), len(rows)
        neurons = torch.tensor(kept["neurons"])
        layer.intermediate.dense = _keep_outputs(layer.intermediate.dense, neurons)
        layer.output.dense = _keep_inputs(layer.output.dense, neurons)


def _importance(network: Classifier, batches: Iterable[Batch], task: Task) -> list[tuple[Tensor, Tensor]]:
    """Importance of each layer's heads and neurons, summed over the texts of ``batches``."""
    layers = _bert_layers(network)
    taps = [tap for layer in layers for tap in (_Tap(layer.attention.output.dense), _Tap(layer.output.dense))]
    network.eval()
    for batch in batches:
        network.zero_grad()
        target_loss(network(batch["input_ids"]), batch["labels"], task, 1.0, None).backward()  # type: ignore[no-untyped-call]
        for tap in taps:
            tap.add()
    network.zero_grad()
    for tap in taps:
        tap.remove()
    sizes = [int(layer.attention.self.attention_head_size) for layer in layers]
    return [
        (attended.total.reshape(-1, size).sum(1), inner.total)
        for attended, inner, size in zip(taps[::2], taps[1::2], sizes, strict=True)
    ]


class _Tap:
    """Sums |activation * gradient| of what enters a linear layer, over texts; within a text it is summed signed."""

    def __init__(self, linear: nn.Linear) -> None:
        self.total = torch.zeros(linear.in_features)
        self._hook = linear.register_forward_pre_hook(self._see)

    def _see(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._seen = inputs[0]
        self._seen.retain_grad()

    def add(self) -> None:
        gradient = self._seen.grad
        if gradient is not None:
            self.total += (self._seen.detach() * gradient).sum(1).abs().sum(0)

    def remove(self) -> None:
        self._hook.remove()


def _bert_layers(network: Classifier) -> Sequence[Any]:
    layers = list(layers_of(network))
    if not all(hasattr(layer, "intermediate") and hasattr(layer.attention, "self") for layer in layers):
        raise BuildError(
            f"The layers of {type(network.encoder).__name__} cannot be pruned: they are not built as BERT's are.",
            remedy="Leave prune out of compress.recipes; cut and distil work.",
        )
    return layers


def _largest(importance: Tensor, count: int) -> list[int]:
    return sorted(torch.topk(importance, min(count, len(importance))).indices.tolist())


def _keep_outputs(linear: nn.Linear, rows: Tensor) -> nn.Linear:
    smaller = nn.Linear(linear.in_features, len(rows))
    smaller.weight.data, smaller.bias.data = linear.weight.data[rows].clone(), linear.bias.data[rows].clone()
    return smaller


def _keep_inputs(linear: nn.Linear, columns: Tensor) -> nn.Linear:
    smaller = nn.Linear(len(columns), linear.out_features)
    smaller.weight.data, smaller.bias.data = linear.weight.data[:, columns].clone(), linear.bias.data.clone()
    return smaller
