"""One training loop for every network: transformers' Trainer, resumable after a kill at any point."""

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from model_build.clean import Example
from model_build.config import TrainConfig
from model_build.networks import PretrainedClassifier, cpu_has_bfloat16
from slipway.encoding import Encoder
from slipway.errors import BuildError
from slipway.predictor import pad

Row = dict[str, Any]


def train(
    network: PretrainedClassifier,
    encoder: Encoder,
    splits: dict[str, list[Example]],
    config: TrainConfig,
    *,
    checkpoints: Path,
    console: Console,
) -> dict[str, Any]:
    """Train in place, keep the weights of the best dev accuracy, and return what happened.

    A checkpoint in ``checkpoints`` is continued from; the last complete one counts, since a kill may leave half of one.
    """
    rows = {name: encode_rows(encoder, splits[name]) for name in ("train", "dev")}
    trainer = _ClassifierTrainer(
        model=network,
        args=_arguments(config, len(rows["train"]), checkpoints),
        train_dataset=rows["train"],
        eval_dataset=rows["dev"],
        data_collator=lambda batch: _collate(batch, network.pad_id),
        compute_metrics=lambda output: {"accuracy": float((output[0].argmax(-1) == output[1]).mean())},
        callbacks=[_ProgressBar(console)],
    )
    trainer.remove_callback(_printing_callback())
    resumed = last_complete_checkpoint(checkpoints)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)  # torch and accelerate on pinning memory without a GPU
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    trainer.accelerator.unwrap_model(network, keep_fp32_wrapper=False)  # or forward would stay under autocast
    network.to("cpu").eval()
    if not all(bool(torch.isfinite(weight).all()) for weight in network.parameters()):
        raise BuildError(
            "The training diverged: weights are no numbers any more.",
            remedy=f"Lower train.learning_rate, which is {config.learning_rate:g}.",
        )
    return {
        "epochs": config.epochs,
        "steps": trainer.state.global_step,
        "best_dev_accuracy": trainer.state.best_metric,
        "precision": "bf16" if trainer.args.bf16 else "fp32",
        "resumed_at_step": int(resumed.name.rpartition("-")[2]) if resumed else 0,
    }


def train_once(
    network: PretrainedClassifier,
    encoder: Encoder,
    splits: dict[str, list[Example]],
    config: TrainConfig,
    *,
    work: Path,
    console: Console,
) -> dict[str, Any]:
    """As ``train``, unless ``work`` holds the weights of a training that ended: then those."""
    finished = work / "trained.pt"
    if finished.exists():
        saved = torch.load(finished, weights_only=True)
        network.load_state_dict(saved["weights"])
        network.eval()
        return dict(saved["report"])
    report = train(network, encoder, splits, config, checkpoints=work / "checkpoints", console=console)
    torch.save({"weights": network.state_dict(), "report": report}, partial := work / "trained.partial")
    partial.rename(finished)
    return report


def encode_rows(encoder: Encoder, examples: Sequence[Example]) -> list[Row]:
    """Trainer's rows: ``input_ids`` (tokens,) and the label's index."""
    encoded = encoder.encode([example.text for example in examples])
    return [{"input_ids": e.ids, "labels": example.label} for e, example in zip(encoded, examples, strict=True)]


def last_complete_checkpoint(directory: Path) -> Path | None:
    """The newest checkpoint whose state file, which Trainer writes last, is whole; half-written ones are removed."""
    found = sorted(directory.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for checkpoint in found:
        try:
            json.loads((checkpoint / "trainer_state.json").read_text())
        except (OSError, ValueError):
            shutil.rmtree(checkpoint)
        else:
            return checkpoint
    return None


def torch_logits(network: nn.Module, encoder: Encoder, texts: Sequence[str]) -> Any:
    """Reference logits (texts, labels) in float32, a text at a time: what every exported graph is held against."""
    network.eval()
    with torch.inference_mode():
        rows = [torch.from_numpy(e.ids[None]) for e in encoder.encode(texts)]
        return np.concatenate([network(row).numpy() for row in rows])


class _ClassifierTrainer(Trainer):
    """Networks here return bare logits; the loss is computed outside them, so that it never enters an export."""

    def compute_loss(  # type: ignore[override]  # one more optional argument, which a mean loss has no use for
        self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any
    ) -> Any:
        logits = model(inputs["input_ids"])
        loss = functional.cross_entropy(logits.float(), inputs["labels"])
        return (loss, {"logits": logits}) if return_outputs else loss

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Tensor], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> Any:
        inputs = self._prepare_inputs(inputs)
        with torch.inference_mode(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        return loss, None if prediction_loss_only else outputs["logits"].float(), inputs["labels"]


class _ProgressBar(TrainerCallback):
    """Steps, loss, dev accuracy and the time that remains, on one line."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("  training"),
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
        self._bar.update(self._task, dev=f"dev accuracy {metrics['eval_accuracy']:.3f}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.stop()


def _arguments(config: TrainConfig, rows: int, checkpoints: Path) -> TrainingArguments:
    gpu = torch.cuda.is_available()
    steps = -(-rows // config.batch_size)
    check = max(1, steps // config.checks)
    set_seed(config.seed)
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=64,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup,  # below 1: a share of all steps
        weight_decay=config.weight_decay,
        optim="adamw_torch_fused",
        bf16=torch.cuda.is_bf16_supported() if gpu else cpu_has_bfloat16(),
        use_cpu=not gpu,
        train_sampling_strategy="group_by_length",
        eval_strategy="steps",
        eval_steps=check,
        save_strategy="steps",
        save_steps=check,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="accuracy",
        logging_steps=10,
        disable_tqdm=True,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=gpu,
        label_names=["labels"],
        seed=config.seed,
    )


def _collate(batch: Sequence[Row], pad_id: int) -> dict[str, Tensor]:
    ids = torch.from_numpy(pad([row["input_ids"] for row in batch], pad_id)).long()
    return {"input_ids": ids, "labels": torch.tensor([row["labels"] for row in batch])}


def _printing_callback() -> type[TrainerCallback]:
    from transformers.trainer_callback import PrinterCallback

    return PrinterCallback
