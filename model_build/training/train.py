"""One training loop for every network: transformers' Trainer, resumable after a kill at any point."""

import json
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from transformers import EarlyStoppingCallback, TrainerCallback, TrainingArguments, set_seed
from transformers.integrations.integration_utils import TensorBoardCallback
from transformers.trainer_callback import PrinterCallback

from model_build.sections import TrainConfig
from model_build.training.networks import Classifier, cpu_has_bfloat16
from model_build.training.rows import Rows, balanced_weights
from model_build.training.trainer import (
    CheckReports,
    ClassifierTrainer,
    OnCheck,
    ProgressBar,
    build_optimizer,
    dev_score,
    stop_progress,
)
from slipway.encoding import Encoder
from slipway.errors import BuildError

_DEV_TEXTS = 10_000  # scored at a check: a larger dev split would cost more than the training between two checks
_SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is trained on what, and where its files go. ``softness`` is the temperature of distillation; None: labels.

    The checkpoint of the best dev score is kept, in distillation that of the lowest dev loss. A network that learns
    labels grows overconfident, and its loss rises while it still gets better; one that learns shares does not, and its
    loss tells apart what few dev texts cannot.
    ``directory`` holds checkpoints and, at the end, ``trained.pt``; ``scalars`` is for TensorBoard.
    """

    network: Classifier
    train: Rows
    dev: Rows
    config: TrainConfig
    directory: Path
    stage: str = "training"
    softness: float | None = None
    scalars: Path | None = None


def train_once(training: Training, console: Console, on_check: OnCheck | None = None) -> dict[str, Any]:
    """Train in place, unless ``directory`` holds the weights of a training that ended: then those.

    Returns what happened. The weights of the best checkpoint are kept. A training that was killed goes on from its last
    complete checkpoint. Raises BuildError if the training diverges.
    """
    finished = training.directory / "trained.pt"
    if not finished.exists():
        training.directory.mkdir(parents=True, exist_ok=True)
        if training.config.processes > 1:
            from model_build.training.data_parallel import train_in_processes

            train_in_processes(training, console)
        else:
            save(training, fit(training, console, on_check))
    saved = torch.load(finished, weights_only=True)
    training.network.load_state_dict(saved["weights"])
    training.network.eval()
    return dict(saved["report"])


def save(training: Training, report: dict[str, Any]) -> None:
    """Write ``trained.pt``, which appears whole, and remove the checkpoints."""
    partial = training.directory / "trained.partial"
    torch.save({"weights": training.network.state_dict(), "report": report}, partial)
    partial.rename(training.directory / "trained.pt")
    shutil.rmtree(training.directory / "checkpoints", ignore_errors=True)


def fit(training: Training, console: Console, on_check: OnCheck | None = None) -> dict[str, Any]:
    """Train in place in this process, which may be one of several. Returns what happened."""
    checkpoints = training.directory / "checkpoints"
    trainer = _trainer(training, _arguments(training, checkpoints), console, on_check)
    resumed = last_complete_checkpoint(checkpoints)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)  # torch and accelerate on pinning memory without a GPU
        try:
            trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
        finally:
            stop_progress(trainer)
    network = training.network
    trainer.accelerator.unwrap_model(network, keep_fp32_wrapper=False)  # or forward would stay under autocast
    network.to("cpu").eval()
    best = trainer.state.best_global_step
    if best is None or not all(bool(torch.isfinite(weight).all()) for weight in network.parameters()):
        raise BuildError(
            "The training diverged: weights are no numbers any more.",
            remedy=f"Lower train.learning_rate, which is {training.config.learning_rate:g}.",
        )
    return {
        "epochs": round(float(trainer.state.epoch or 0), 2),
        "steps": trainer.state.global_step,
        "best_dev_score": _score_at(best, trainer.state.log_history),
        "precision": "bf16" if trainer.args.bf16 else "fp32",
        "processes": trainer.args.world_size,
        "resumed_at_step": int(resumed.name.rpartition("-")[2]) if resumed else 0,
        "history": _history(trainer.state.log_history),
    }


def last_complete_checkpoint(directory: Path) -> Path | None:
    """The newest checkpoint whose state file, which Trainer writes last, is whole; half-written ones are removed."""
    found = sorted(directory.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for checkpoint in found:
        try:
            json.loads((checkpoint / "trainer_state.json").read_text())
        except (OSError, ValueError):
            shutil.rmtree(checkpoint, ignore_errors=True)
        else:
            return checkpoint
    return None


def torch_logits(network: nn.Module, encoder: Encoder, texts: Sequence[str]) -> Any:
    """Reference logits (texts, labels) in float32, a text at a time: what every exported graph is held against."""
    network.eval()
    with torch.inference_mode():
        rows = [torch.from_numpy(e.ids[None]).long() for e in encoder.encode(texts)]
        return np.concatenate([network(row).numpy() for row in rows])


def _trainer(
    training: Training, arguments: TrainingArguments, console: Console, on_check: OnCheck | None
) -> ClassifierTrainer:
    config, rows = training.config, training.train
    callbacks: list[TrainerCallback] = [ProgressBar(console, training.stage)] if arguments.process_index == 0 else []
    if config.patience:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=config.patience))
    if on_check is not None:
        callbacks.append(CheckReports(on_check))
    if training.scalars is not None and config.tensorboard:
        writer = SummaryWriter(str(training.scalars))
        callbacks.append(TensorBoardCallback(writer))  # type: ignore[no-untyped-call]
    balanced = config.class_weights == "balanced"
    trainer = ClassifierTrainer(
        model=training.network,
        args=arguments,
        train_dataset=rows,
        eval_dataset=training.dev if len(training.dev) <= _DEV_TEXTS else _first(training.dev, _DEV_TEXTS),
        data_collator=lambda batch: rows.collate(batch, training.network.pad_id),
        compute_metrics=lambda output: {"score": dev_score(output[0], output[1], rows.task)},
        callbacks=callbacks,
        optimizers=(build_optimizer(training.network, config), None),
        task=rows.task,
        l1=config.l1,
        softness=training.softness or 1.0,
        label_weights=torch.from_numpy(balanced_weights(rows.targets, rows.labels)) if balanced else None,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _first(rows: Rows, count: int) -> Rows:
    return Rows([rows.tokens[index] for index in range(count)], rows.targets[:count], rows.labels, rows.task)


def _arguments(training: Training, checkpoints: Path) -> TrainingArguments:
    config = training.config
    gpu = torch.cuda.is_available()
    steps = -(-len(training.train) // (config.batch_size * config.processes))
    check = max(1, steps // config.checks)
    set_seed(config.seed)
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=64,
        learning_rate=config.learning_rate,
        lr_scheduler_type=_SCHEDULES[config.schedule],
        warmup_steps=config.warmup,  # below 1: a share of all steps
        label_smoothing_factor=0.0,  # ours is in the targets: theirs needs labels as indices
        bf16=torch.cuda.is_bf16_supported() if gpu else cpu_has_bfloat16(),
        use_cpu=not gpu,
        ddp_backend="gloo" if torch.distributed.is_torchelastic_launched() and not gpu else None,
        train_sampling_strategy="group_by_length",
        eval_strategy="steps",
        eval_steps=check,
        save_strategy="steps",
        save_steps=check,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="score" if training.softness is None else "loss",
        greater_is_better=training.softness is None,
        logging_steps=max(1, min(10, check)),
        disable_tqdm=True,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=gpu,
        label_names=["labels"],
        seed=config.seed,
    )


def _score_at(step: int, log: Sequence[dict[str, Any]]) -> float:
    return float(next(entry["eval_score"] for entry in log if entry["step"] == step and "eval_score" in entry))


def _history(log: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Loss and dev score by step, for the report."""
    by_step: dict[int, dict[str, Any]] = {}
    for entry in log:
        row = by_step.setdefault(int(entry["step"]), {"step": int(entry["step"]), "epoch": round(entry["epoch"], 4)})
        names = {"loss": "loss", "learning_rate": "learning_rate", "eval_score": "dev", "eval_loss": "dev_loss"}
        row |= {name: float(entry[key]) for key, name in names.items() if key in entry}
    return [by_step[step] for step in sorted(by_step)]
