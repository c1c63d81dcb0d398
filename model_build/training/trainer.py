"""transformers' Trainer for bare logits: the loss on soft targets, the optimizers, and what is told meanwhile."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn import functional
from transformers import Trainer, TrainerCallback

from model_build.sections import TrainConfig
from slipway.artifact import Task

OnCheck = Callable[[int, float], None]


class ClassifierTrainer(Trainer):
    """Networks here return bare logits; the loss is computed outside them, so that it never enters an export."""

    def __init__(self, *, task: Task, l1: float, softness: float, label_weights: Tensor | None, **options: Any) -> None:
        super().__init__(**options)
        self._task = task
        self._l1 = l1
        self._softness = softness
        self._label_weights = label_weights
        self.model_accepts_loss_kwargs = False

    def compute_loss(  # type: ignore[override]  # one more optional argument, which a mean loss has no use for
        self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any
    ) -> Any:
        logits = model(inputs["input_ids"])
        loss = target_loss(logits.float(), inputs["labels"], self._task, self._softness, self._label_weights)
        if self._l1 and model.training:
            loss = loss + self._l1 * sum(weight.abs().sum() for weight in model.parameters() if weight.ndim > 1)
        return (loss, {"logits": logits}) if return_outputs else loss

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Tensor], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> Any:
        inputs = self._prepare_inputs(inputs)
        with torch.inference_mode(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        return loss, None if prediction_loss_only else outputs["logits"].float(), inputs["labels"]


def target_loss(logits: Tensor, targets: Tensor, task: Task, softness: float, weights: Tensor | None) -> Tensor:
    """Mean cross entropy against shares of labels, both (texts, labels); in a multi-label task each label by itself.

    ``softness`` is the temperature of distillation: it divides the logits, and its square multiplies the loss, so that
    gradients keep their size (Hinton et al. 2015, arXiv:1503.02531).
    """
    weights = None if weights is None else weights.to(logits.device)
    logits = logits / softness
    if task == "multi-label":
        return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights) * softness**2
    losses = -(targets * functional.log_softmax(logits, dim=1))
    if weights is not None:
        losses = losses * weights
    return losses.sum(1).mean() * softness**2


def build_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimizer of ``config``; biases and norms do not decay."""
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trained if weight.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [weight for weight in trained if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=config.learning_rate)
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def dev_score(logits: Any, targets: Any, task: Task) -> float:
    """What the best checkpoint is chosen by: accuracy, or micro F1 in a multi-label task."""
    if task == "multi-label":
        return float(f1_score(targets >= 0.5, np.asarray(logits) >= 0, average="micro", zero_division=0))
    return float((logits.argmax(-1) == targets.argmax(-1)).mean())


class ProgressBar(TrainerCallback):
    """Steps, loss, dev score and the time that remains, on one line."""

    def __init__(self, console: Console, stage: str) -> None:
        self._bar = Progress(
            TextColumn(f"  {stage}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[loss]} {task.fields[dev]}"),
            console=console,
        )

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.start()
        self._task = self._bar.add_task("", total=state.max_steps, completed=state.global_step, loss="", dev="")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.update(self._task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if "loss" in (logs or {}):
            self._bar.update(self._task, loss=f"loss {float(logs['loss']):.3f}")

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        self._bar.update(self._task, dev=f"dev {metrics['eval_score']:.4f}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the line as it is."""
        self._bar.stop()


def stop_progress(trainer: Trainer) -> None:
    """End the line of progress of a training that was interrupted; one that ended has ended it."""
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, ProgressBar):
            callback.stop()


class CheckReports(TrainerCallback):
    """Tells ``on_check`` the step and the dev score of every check; what it raises ends the training."""

    def __init__(self, on_check: OnCheck) -> None:
        self._on_check = on_check

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        self._on_check(state.global_step, float(metrics["eval_score"]))
