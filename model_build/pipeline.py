"""The build, top to bottom, one call a stage: labelled text in, one sealed artifact out."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from model_build import card, gates, package
from model_build.calibrate import observe
from model_build.clean import Dataset, clean
from model_build.config import BuildConfig
from model_build.data import read_rows
from model_build.emulate import emulated_logits, require_emulators
from model_build.evaluate import Evaluation, baseline, confusion, evaluate, measure_speed
from model_build.fingerprint import build_fingerprint
from slipway.artifact import TOKENIZER, Variant, model_file
from slipway.encoding import Encoder
from slipway.errors import BuildError
from slipway.predictor import softmax

if TYPE_CHECKING:
    from model_build.networks import PretrainedClassifier

_CALIBRATION_TEXTS = 256
_PARITY_TEXTS = 256
_TIMED_TEXTS = 64


@dataclass(frozen=True, kw_only=True)
class Build:
    """One run: what is asked for, where it happens, and who is told.

    ``directory`` holds the finished versions; ``overrides`` are the ``--set`` arguments, for the card.
    """

    config: BuildConfig
    config_path: str
    overrides: Sequence[str]
    directory: Path
    console: Console

    def say(self, stage: str, outcome: str) -> None:
        """One line a stage, once it is done."""
        self.console.print(f"  [bold]{stage:<8}[/] {outcome}", highlight=False, soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network with its tokenizer; ``report`` says how the training went."""

    network: "PretrainedClassifier"
    encoder: Encoder
    pad_id: int
    report: dict[str, Any]


def build(run: Build) -> Path:
    """Build an artifact and return its directory. A killed build goes on where it was.

    Raises BuildError for data and settings that cannot work, GateFailed for a model that must not serve.
    """
    require_emulators(run.config.gates.cpu_classes)
    fingerprint = build_fingerprint(run.config)
    work = _work_directory(run.directory, fingerprint)
    dataset = clean(read_rows(run.config.data), run.config.data)
    run.say("data", _data_line(dataset))
    trained = train(run, dataset, work)
    run.say("train", f"dev accuracy {trained.report['best_dev_accuracy']:.4f}, {trained.report['precision']}")
    draft = export(trained, dataset, work / "artifact")
    run.say("export", ", ".join(f"{variant} {size} MB" for variant, size in package.file_sizes(draft).items()))
    evaluation = evaluate(draft, trained.encoder, dataset, pad_id=trained.pad_id)
    run.say("evaluate", _quality_line(evaluation))
    passed = check(run, trained, dataset, draft, evaluation)
    run.say("gates", f"all {len(passed)} passed")
    artifact = seal(run, trained, dataset, draft, evaluation, passed, fingerprint)
    shutil.rmtree(work, ignore_errors=True)
    run.say("artifact", str(artifact))
    return artifact


def train(run: Build, dataset: Dataset, work: Path) -> Trained:
    """Fine-tune, or take up what an interrupted build left in ``work``."""
    from model_build import networks
    from model_build.train import train_once

    config = run.config
    tokenizer, pad_id = networks.load_tokenizer(config.network)
    encoder = Encoder(tokenizer, max_tokens=config.network.max_tokens)
    seed = config.train.seed
    network = networks.load_pretrained(config.network, labels=len(dataset.labels), pad_id=pad_id, seed=seed)
    report = train_once(network, encoder, dataset.splits, config.train, work=work, console=run.console)
    return Trained(network=network, encoder=encoder, pad_id=pad_id, report=report)


def export(trained: Trained, dataset: Dataset, draft: Path) -> Path:
    """Write the tokenizer and all three variants to a fresh directory."""
    from model_build.export import save, to_onnx
    from model_build.networks import save_tokenizer
    from model_build.quantize import quantize_rows, to_float16

    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    save_tokenizer(trained.encoder.tokenizer, draft / TOKENIZER)
    fp32 = to_onnx(trained.network)
    texts = [example.text for example in dataset.splits["train"][:_CALIBRATION_TEXTS]]
    observed = observe(fp32, [encoded.ids[None] for encoded in trained.encoder.encode(texts)])
    graphs: dict[Variant, Any] = {"fp32": fp32, "int8": quantize_rows(fp32, observed), "fp16": to_float16(fp32)}
    for variant, graph in graphs.items():
        save(graph, draft / model_file(variant))
    return draft


def check(run: Build, trained: Trained, dataset: Dataset, draft: Path, evaluation: Evaluation) -> list[gates.Gate]:
    """Run every gate on the test split. Raises GateFailed."""
    from model_build.train import torch_logits

    texts = [example.text for example in dataset.splits["test"][:_PARITY_TEXTS]]
    measured = gates.Measured(
        rows=[encoded.ids for encoded in evaluation.encoded["test"]],
        labels=evaluation.labels["test"],
        logits=evaluation.logits["test"],
        torch=torch_logits(trained.network, trained.encoder, texts),
        temperature=evaluation.temperature,
    )

    def emulate(rows: Any, cpu_class: Any) -> Any:
        with run.console.status(f"  {len(rows)} texts on an emulated CPU with {cpu_class}, about a second each"):
            return emulated_logits(draft / model_file("int8"), rows, pad_id=trained.pad_id, cpu_class=cpu_class)

    return gates.run_gates(measured, evaluation.networks, emulate, run.config.gates)


def seal(
    run: Build,
    trained: Trained,
    dataset: Dataset,
    draft: Path,
    evaluation: Evaluation,
    passed: list[gates.Gate],
    fingerprint: str,
) -> Path:
    """Write the card and the manifest, and move the draft to where finished versions are."""
    encoded, int8 = evaluation.encoded["test"], evaluation.logits["test"]["int8"]
    speed = measure_speed(draft, [e.ids for e in encoded[:_TIMED_TEXTS]], pad_id=trained.pad_id)
    sizes = {v: {"megabytes": size} | speed.get(v, {}) for v, size in package.file_sizes(draft).items()}
    revision = package.code_revision()
    about = card.CardData(
        config=run.config,
        config_path=run.config_path,
        overrides=run.overrides,
        dataset=dataset,
        training=trained.report,
        metrics=evaluation.metrics(),
        confusion=confusion(int8, evaluation.labels["test"], dataset.labels),
        gates=passed,
        speed=sizes,
        temperature=evaluation.temperature,
        code_revision=revision,
    )
    package.write_card(draft, card.render(about))
    probabilities = softmax(int8 / np.float32(evaluation.temperature))
    texts = [example.text for example in dataset.splits["test"]]
    return package.seal(
        draft,
        run.directory,
        model=run.config.model,
        task="single-label",
        labels=dataset.labels,
        max_tokens=run.config.network.max_tokens,
        pad_id=trained.pad_id,
        temperature=evaluation.temperature,
        code_revision=revision,
        data_fingerprint=dataset.fingerprint(),
        build_fingerprint=fingerprint,
        training=trained.report | run.config.train.model_dump() | run.config.network.model_dump(),
        metrics=evaluation.metrics(),
        gates=[gate.to_dict() for gate in passed],
        speed=sizes,
        baseline=baseline(trained.encoder, encoded, probabilities, dataset.labels),
        golden=package.golden_examples(texts, trained.encoder, evaluation.networks, evaluation.temperature),
        tolerances={"int8": run.config.gates.cpu_tolerance, "fp16": gates.FLOAT16_DIFFERENCE, "fp32": 1e-3},
    )


def _work_directory(directory: Path, fingerprint: str) -> Path:
    work = directory / f".work-{fingerprint[:12]}"
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(f"{work} cannot be made: {error.strerror}.", remedy="Choose another --out.") from error
    return work


def _data_line(dataset: Dataset) -> str:
    sizes = ", ".join(f"{name} {len(examples)}" for name, examples in dataset.splits.items())
    dropped = ", ".join(f"{count} {reason}" for reason, count in dataset.dropped.items()) or "nothing"
    return f"{dataset.rows} rows, {len(dataset.labels)} labels; {sizes}; dropped {dropped}"


def _quality_line(evaluation: Evaluation) -> str:
    test = evaluation.metrics()["test"]
    return ", ".join(f"{variant} test accuracy {values['accuracy']:.4f}" for variant, values in test.items())
