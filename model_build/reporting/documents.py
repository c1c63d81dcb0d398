"""What the card and the report tell of one build, gathered from its stages."""

from collections.abc import Mapping, Sequence
from typing import Any

from model_build.cpu_classes.processor import native_instruction_sets, unmeasured_classes
from model_build.evaluation.baselines import baselines
from model_build.evaluation.evaluate import Evaluation, cpu_name
from model_build.evaluation.quality import Quality, assess
from model_build.gates import Gate
from model_build.reporting.report import ReportData
from model_build.stages import Build, Prepared, Shipped
from slipway.artifact import Variant


def describe_build(
    run: Build,
    prepared: Prepared,
    shipped: Shipped,
    evaluation: Evaluation,
    passed: Sequence[Gate],
    fields: Mapping[str, Any],
) -> ReportData:
    """``fields`` are those of the manifest, with ``digest`` and the ``reason`` for what is served."""
    config, dataset = run.config, prepared.dataset
    grid = config.compress
    return ReportData(
        config=config,
        config_path=run.config_path,
        overrides=run.overrides,
        code_revision=fields["code_revision"],
        labels=dataset.labels,
        task=dataset.task,
        data=_data(run, prepared),
        training=shipped.trained.report | {"recipe": shipped.recipe},
        metrics=fields["metrics"],
        quality=_quality(prepared, shipped, evaluation, fields["serve"]).to_dict(),
        gates=passed,
        speed=fields["speed"],
        serve=fields["serve"],
        serve_reason=fields["reason"],
        cpu=f"{cpu_name()} ({native_instruction_sets()})",
        unmeasured=unmeasured_classes(config.gates.cpu_classes, native_instruction_sets()),
        temperature=evaluation.temperature,
        digest=fields["digest"],
        baselines=_baselines(run, prepared),
        frontier=[point.to_dict() for point in shipped.points],
        constraint=grid.constraint if grid else "",
        layer_cost=[
            {"layers": cost["layers"], "dev_accuracy": cost["dev_score"]} for cost in shipped.trained.layer_costs
        ],
    )


def _data(run: Build, prepared: Prepared) -> dict[str, Any]:
    dataset = prepared.dataset
    findings = dataset.findings.to_dict()
    return {
        "path": run.config.data.path,
        "rows": dataset.rows,
        "dropped": dataset.dropped,
        "mended": dataset.mended,
        "splits": {name: len(split) for name, split in dataset.splits.items()},
        "class_balance": findings["balance"],
        "findings": findings,
        "suspects": [suspect.to_dict() for suspect in prepared.suspects],
        "unlabelled": len(prepared.corpora.unlabelled) if run.config.data.unlabelled else 0,
    }


def _quality(prepared: Prepared, shipped: Shipped, evaluation: Evaluation, serve: Variant) -> Quality:
    dataset, encoder = prepared.dataset, shipped.trained.encoder
    test = dataset.splits["test"]
    network = evaluation.networks[serve]
    columns = {name: [example.slices[place] for example in test] for place, name in enumerate(dataset.slices)}
    return assess(
        evaluation.logits["test"][serve],
        evaluation.targets["test"],
        task=dataset.task,
        temperature=evaluation.temperature,
        labels=dataset.labels,
        texts=list(test.texts()),
        tokens=[encoded.tokens for encoded in evaluation.encoded["test"]],
        columns=columns,
        predict=lambda texts: network.logits([encoded.ids for encoded in encoder.encode(texts)]),
    )


def _baselines(run: Build, prepared: Prepared) -> list[dict[str, Any]]:
    dataset = prepared.dataset
    train, dev, test = (dataset.splits[name] for name in ("train", "dev", "test"))
    with run.console.status("  tf-idf and a logistic regression, to compare with"):
        return baselines(
            train.texts(),
            train.targets(),
            test.texts(),
            test.targets(),
            task=dataset.task,
            labels=dataset.labels,
            seed=run.config.data.seed,
            dev=(dev.texts(), dev.targets()),
        )
