"""The build, top to bottom, one call a stage: labelled text in, one sealed artifact out."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_build import gates, package
from model_build.cpu_classes.emulate import emulated_logits, require_emulators
from model_build.data.clean import Dataset, clean
from model_build.data.read import read_rows
from model_build.data.suspects import Suspect, find_suspects
from model_build.evaluation.evaluate import Evaluation, baseline, evaluate, measure_speed
from model_build.fingerprint import build_fingerprint
from model_build.stages import Build, Prepared, Shipped
from slipway.artifact import Variant, model_file
from slipway.encoding import Encoder
from slipway.errors import BuildError

if TYPE_CHECKING:
    from model_build.compression.frontier import Point
    from model_build.compression.students import Trained

_PARITY_TEXTS = 256
_TIMED_TEXTS = 64


def build(run: Build) -> Path:
    """Build an artifact and return its directory. A killed build goes on where it was.

    Raises BuildError for data and settings that cannot work, GateFailed for a model that must not serve.
    """
    prepared = prepare(run)
    from model_build.compression.choice import choose  # torch takes seconds: the data are looked at first

    shipped = choose(run, prepared, train(run, prepared))
    draft = export(run, shipped, prepared)
    run.say("export", ", ".join(f"{variant} {size} MB" for variant, size in package.file_sizes(draft).items()))
    evaluation = evaluate(draft, shipped.trained.encoder, prepared.dataset, pad_id=shipped.trained.pad_id)
    run.say("evaluate", _quality_line(evaluation))
    passed = check(run, shipped, prepared.dataset, draft, evaluation)
    run.say("gates", _gates_line(passed))
    artifact = seal(run, prepared, shipped, draft, evaluation, passed)
    shutil.rmtree(prepared.work, ignore_errors=True)
    run.say("artifact", str(artifact))
    return artifact


def prepare(run: Build) -> Prepared:
    """Read, clean and split the data, and look for labels that may be wrong."""
    require_emulators(run.config.gates.cpu_classes)
    fingerprint = build_fingerprint(run.config)
    work = _work_directory(run.directory, fingerprint)
    dataset = clean(read_rows(run.config.data), run.config.data, work / "data")
    run.say("data", _data_line(dataset))
    suspects = _suspects(run, dataset)
    from model_build.compression.students import Workshop
    from model_build.data.corpora import Corpora

    corpora = Corpora(run.config, dataset, work)
    workshop = Workshop(
        corpora=corpora,
        work=work,
        console=run.console,
        scalars=run.directory / "tensorboard" / fingerprint[:12],
        threads=os.cpu_count() or 1,
    )
    return Prepared(
        dataset=dataset, suspects=suspects, corpora=corpora, workshop=workshop, fingerprint=fingerprint, work=work
    )


def train(run: Build, prepared: Prepared) -> "Trained":
    """The full network of the configuration, or what an interrupted build left of it."""
    trained = prepared.workshop.train_full()
    report = trained.report
    resumed = f", resumed at step {report['resumed_at_step']}" if report["resumed_at_step"] else ""
    run.say("train", f"dev score {report['best_dev_score']:.4f}, {report['precision']}{resumed}")
    return trained


def try_grid(run: Build) -> tuple[Sequence["Point"], Path]:
    """The grid of ``[compress]`` and its plot, for who wants to see it before a build."""
    if run.config.compress is None:
        raise BuildError(
            f"{run.config_path} has no section [compress].", remedy="See docs/building.md for recipes to try."
        )
    prepared = prepare(run)
    from model_build.compression.choice import choose_from_grid
    from model_build.reporting.frontier_report import save_frontier

    shipped = choose_from_grid(run, prepared, train(run, prepared), run.config.compress)
    return shipped.points, save_frontier(shipped.points, run.config.compress, run.directory)


def export(run: Build, shipped: Shipped, prepared: Prepared) -> Path:
    """Write the tokenizer and all three variants to a fresh directory."""
    from model_build.compression.choice import calibration_tokens, promise
    from model_build.graphs.export import save, to_onnx
    from model_build.graphs.fuse import fuse_for_gpu, to_float16
    from model_build.graphs.precision import to_precision
    from model_build.training.bases import save_tokenizer

    draft = prepared.work / "artifact"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    encoder = shipped.trained.encoder
    save_tokenizer(encoder.tokenizer, draft)
    fp32 = to_onnx(shipped.trained.network)
    quantized = "rows" if shipped.precision == "fp32" else shipped.precision
    calibration = calibration_tokens(prepared, shipped.trained)
    int8 = to_precision(fp32, quantized, calibration, promise(run, prepared, shipped.trained))
    given = to_onnx(shipped.trained.network, texts_first=True)
    fused = fuse_for_gpu(given, inner_padding=can_spell(encoder, shipped.trained.pad_id))
    graphs: dict[Variant, Any] = {"fp32": fp32, "int8": int8, "fp16": to_float16(fused)}
    for variant, graph in graphs.items():
        save(graph, draft / model_file(variant))
    return draft


def can_spell(encoder: Encoder, token: int) -> bool:
    """Whether a text can hold this special token, by its name or because it stands for what is unknown.

    A special token's name is read as text, and yet is that token unless punctuation parts it before words are sought.
    """
    texts = [encoder.tokenizer.id_to_token(token) or "", "\U0010ffff"]
    return any(token in encoded.ids for encoded in encoder.encode(texts))


def check(run: Build, shipped: Shipped, dataset: Dataset, draft: Path, evaluation: Evaluation) -> list[gates.Gate]:
    """Run every gate on the test split. Raises GateFailed."""
    from model_build.training.train import torch_logits

    trained = shipped.trained
    measured = gates.Measured(
        rows=[encoded.ids for encoded in evaluation.encoded["test"]],
        labels=evaluation.targets["test"],
        logits=evaluation.logits["test"],
        torch=torch_logits(trained.network, trained.encoder, list(dataset.splits["test"][:_PARITY_TEXTS].texts())),
        temperature=evaluation.temperature,
        task=dataset.task,
    )

    def emulate(rows: Any, cpu_class: Any) -> Any:
        with run.console.status(f"  {len(rows)} texts on an emulated CPU of the class {cpu_class}"):
            return emulated_logits(draft / model_file("int8"), rows, pad_id=trained.pad_id, cpu_class=cpu_class)

    return gates.run_gates(measured, evaluation.networks, emulate, run.config.gates)


def seal(
    run: Build,
    prepared: Prepared,
    shipped: Shipped,
    draft: Path,
    evaluation: Evaluation,
    passed: list[gates.Gate],
) -> Path:
    """Write the card, the report and the manifest, and move the draft to where finished versions are."""
    from model_build.reporting.documents import describe_build

    dataset, trained, config = prepared.dataset, shipped.trained, run.config
    encoded = evaluation.encoded["test"]
    measured = measure_speed(draft, [e.ids for e in encoded[:_TIMED_TEXTS]], pad_id=trained.pad_id)
    speed = {v: {"megabytes": size} | measured.get(v, {}) for v, size in package.file_sizes(draft).items()}
    serve, reason = gates.choose_served(speed, config.gates)
    if shipped.precision == "fp32":
        serve, reason = "fp32", "the grid's choice"
    fields: dict[str, Any] = {
        "model": config.model,
        "task": dataset.task,
        "labels": dataset.labels,
        "max_tokens": trained.encoder.max_tokens,
        "pad_id": trained.pad_id,
        "temperature": evaluation.temperature,
        "code_revision": package.code_revision(),
        "data_fingerprint": dataset.fingerprint(),
        "build_fingerprint": prepared.fingerprint,
        "training": _training(shipped) | config.train.model_dump() | config.network.model_dump(mode="json"),
        "metrics": evaluation.metrics(),
        "gates": [gate.to_dict() for gate in passed],
        "speed": speed,
        "serve": serve,
        "baseline": baseline(
            trained.encoder,
            encoded,
            evaluation.probabilities("test", serve),
            labels=dataset.labels,
            task=dataset.task,
        ),
        "golden": package.golden_examples(
            list(dataset.splits["test"].texts()),
            trained.encoder,
            evaluation.networks,
            evaluation.temperature,
            dataset.task,
        ),
        "tolerances": {"int8": config.gates.cpu_tolerance, "fp16": gates.FLOAT16_DIFFERENCE, "fp32": 1e-3},
    }
    digest = package.content_digest(draft, fields)
    data = describe_build(run, prepared, shipped, evaluation, passed, fields | {"digest": digest, "reason": reason})
    package.write_documents(draft, data)
    run.say("digest", f"{digest[:16]}… from the same configuration, data and machine every time")
    return package.seal(draft, run.directory, **fields)


def _training(shipped: Shipped) -> dict[str, Any]:
    """What happened, without the curves: those are in the report."""
    happened = {"recipe": shipped.recipe, "int8_precision": shipped.precision}
    return happened | {name: value for name, value in shipped.trained.report.items() if name not in _CURVES}


_CURVES = {"history", "resumed_at_step"}  # a resumed build is the same build


def _suspects(run: Build, dataset: Dataset) -> Sequence[Suspect]:
    if not run.config.data.suspects:
        return ()
    split = dataset.splits["train"]
    with run.console.status("  looking for labels that may be wrong"):
        found = find_suspects(
            split.texts(),
            split.targets(),
            dataset.labels,
            count=run.config.data.suspects,
            seed=run.config.data.seed,
        )
    run.say("suspects", f"{len(found)} labels that may be wrong; the report lists them")
    return found


def _gates_line(measured: Sequence[gates.Gate]) -> str:
    missed = [f"{gate}: {gate.note}" for gate in measured if not gate.passed]  # advisory ones: the others refuse
    return f"{len(measured) - len(missed)} of {len(measured)} passed{'; ' if missed else ''}{'; '.join(missed)}"


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
