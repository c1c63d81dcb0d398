"""``card.md``: what a person should know before trusting a version. Every number on it was measured by this build."""

import shlex
from collections.abc import Sequence
from typing import Any

from model_build.reporting.cost import PRICES_AS_OF, cost_table, dollars
from model_build.reporting.report import REPORT, ReportData
from model_build.reporting.verdict import cautions, compared, passed, speedup

_WIDEST = 12  # labels: a wider table is for the report


def render(data: ReportData) -> str:
    """The card as Markdown."""
    parts = [
        _head(data),
        _cautions(data),
        _data(data),
        _quality(data),
        _calibration(data),
        _frontier(data),
        _speed(data),
        _gates(data),
        _cost(data),
        _reproduce(data),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(data: ReportData) -> str:
    network, labels = data.config.network, _line(", ".join(data.labels[:_WIDEST]))
    if len(data.labels) > _WIDEST:
        labels += f" and {len(data.labels) - _WIDEST} more"
    origin = f"`{network.base}` fine-tuned" if network.base else f"a {network.kind} network trained from scratch"
    recipe = data.training.get("recipe", "full")
    origin += f", made smaller by `{recipe}`" if recipe != "full" else ""
    interval = f", 95 % interval {_bounds(data.interval)}" if data.interval else ""
    texts = data.data.get("splits", {}).get("test", 0)
    return (
        f"# Model card: {data.config.model}\n\n"
        f"A {data.task} text classifier for the labels {labels}: {origin}. "
        f"**Test accuracy {data.served['accuracy']:.4f}** ({data.serve}) on {texts} held-out texts{interval}. "
        f"It reads up to {network.max_tokens} tokens of a text; what is longer is cut.\n\n"
        f"CPUs get **{data.serve}**: {data.why_served} fp16 is for GPUs.\n\n"
        f"With plots, errors worth reading and suspected labels: [{REPORT}]({REPORT})."
    )


def _cautions(data: ReportData) -> str:
    lines = [f"- {_line(caution.text)}" for caution in cautions(data)]
    return "## Know before you trust it\n\n" + "\n".join(lines) if lines else ""


def _data(data: ReportData) -> str:
    about = data.data
    labels = data.labels if len(data.labels) <= _WIDEST else []
    balance = about.get("class_balance", {})
    rows = [[name, texts, *(balance.get(name, {}).get(label, 0) for label in labels)]
            for name, texts in about.get("splits", {}).items()]  # fmt: skip
    dropped = ", ".join(f"{count} {reason}" for reason, count in about.get("dropped", {}).items()) or "none"
    return (
        f"## Data\n\n{table(['split', 'texts', *labels], rows)}\n\n"
        f"{about.get('rows', 0)} rows read from `{about.get('path', '')}`. Dropped: {dropped}. "
        f"Encoding mended in {about.get('mended', 0)}. "
        "No two texts are the same after normalization, within or across splits."
    )


def _quality(data: ReportData) -> str:
    beside = [
        [row["name"], _number(row["accuracy"]), _bounds(row["interval"]), _number(row["macro_f1"])]
        for row in compared(data)
    ]
    names = list(data.served)
    rows = [
        [split, variant, *(_number(values.get(name)) for name in names)]
        for split, by_variant in data.metrics.items()
        for variant, values in by_variant.items()
    ]
    return (
        f"## Quality\n\n{table(['on test', 'accuracy', '95 % interval', 'macro F1'], beside)}\n\n"
        f"{table(['split', 'variant', *(name.replace('_', ' ') for name in names)], rows)}{_confusion(data)}"
    )


def _confusion(data: ReportData) -> str:
    matrix = data.quality.get("confusion")
    if not matrix or len(data.labels) > _WIDEST:
        return ""
    rows = [[f"**{label}**", *row] for label, row in zip(data.labels, matrix, strict=True)]
    return f"\n\nConfusion on the test split, {data.serve}; rows are true labels:\n\n{table(['', *data.labels], rows)}"


def _calibration(data: ReportData) -> str:
    text = f"## Calibration\n\nProbabilities are calibrated on the dev split (temperature {data.temperature})."
    found = data.quality.get("calibration") or {}
    before, after = (found.get(name, {}).get("error") for name in ("before", "after"))
    if before is None or after is None:
        return text
    return f"{text} Calibration error on test: {before:.4f} before, {after:.4f} after."


def _frontier(data: ReportData) -> str:
    if not data.frontier:
        return ""
    rows = [
        [
            *(point["recipe"], point["precision"], _number(point["dev_accuracy"]), _number(point.get("test_accuracy"))),
            *(_percent(point.get("flips")), _percent(point.get("batch_flips"))),
            *(f"{point['ms']:.3f}", f"{point['megabytes']:.1f}"),
            "**ships**" if point["chosen"] else "yes" if point["allowed"] else "no",
        ]
        for point in data.frontier
    ]
    head = ["network", "precision", "dev", "test", "labels changed", "by batching", "ms a text", "MB", "allowed"]
    return (
        f"## Compression\n\n{table(head, rows)}\n\nAllowed is what meets `{data.constraint}` on dev, in points against "
        "the full network in fp32. Labels changed are those of dev texts, against the same network in fp32; by "
        "batching, against the text alone."
    )


def _speed(data: ReportData) -> str:
    rows = [
        [variant, values["megabytes"], values.get("ms_alone", ""), values.get("ms_packed", "")]
        for variant, values in data.speed.items()
    ]
    ratio = speedup(data)
    faster = f" int8 is {ratio:.1f} times as fast as fp32." if ratio else ""
    return (
        "## Size and speed\n\n"
        f"{table(['variant', 'MB', 'ms a text, alone', 'ms a text, in packs'], rows)}\n\n"
        f"One thread, texts of the test split, tokenization not counted, on {data.cpu}.{faster} "
        "fp16 is for GPUs and was not timed here."
    )


def _gates(data: ReportData) -> str:
    rows = [
        [g.name, f"{g.value:.6g}", f"{'≥' if g.least else '≤'} {g.bound:g}", passed(g).replace("no", "**no**"), g.note]
        for g in data.gates
    ]
    missing = f"**int8 was not measured on CPUs with: {', '.join(data.unmeasured)}.**" if data.unmeasured else ""
    classes = ", ".join(data.config.gates.cpu_classes)
    told = f"int8 was held against fp32 on these classes of CPU: {classes}. Native is {data.cpu}. {missing}".strip()
    return f"## Gates\n\n{table(['gate', 'measured', 'bound', 'passed', 'note'], rows)}\n\n{told}"


def _cost(data: ReportData) -> str:
    speed = data.speed.get(data.serve, {})
    if "ms_alone" not in speed:
        return ""
    costs = cost_table(speed["ms_alone"], speed.get("ms_packed", speed["ms_alone"]))
    rows = [[f"{cost.texts:,}", cost.texts_per_request, dollars(cost.total)] for cost in costs]
    return (
        f"## Cost\n\n{table(['texts a month', 'texts a request', 'a month'], rows)}\n\n"
        "AWS Lambda (x86-64, one vCPU) and a REST API of API Gateway, from the milliseconds above alone: without the "
        f"function's own work, cold starts, logs and any free tier. Prices: {PRICES_AS_OF}."
    )


def _reproduce(data: ReportData) -> str:
    numbers = {name: value for name, value in data.training.items() if isinstance(value, str | int | float)}
    told = {name: f"{value:g}" if isinstance(value, float) else value for name, value in numbers.items()}
    happened = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())
    command = shlex.join(["slipway", "build", "--config", data.config_path, "--rebuild", *data.overrides])
    answers = "the labels that score at least 0.5" if data.task == "multi-label" else "one of its labels"
    return (
        f"## Reproduce\n\n```\n{command}\n"
        f"{command} --set gates.emulated_texts=0   # every test text on the emulated CPUs\n```\n\n"
        f"Code {data.code_revision}; training: {happened}; seeds {data.config.data.seed} (split) and "
        f"{data.config.train.seed} (training); content {data.digest}.\n\n"
        f"## Limits\n\nIt answers with {answers} whatever it is given; for texts unlike the data above, or in "
        "another language, a high score means nothing."
    )


def table(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; a pipe in a cell is escaped, and a line break is a space."""
    cells = [[_line(str(cell)).replace("|", "\\|") for cell in row] for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _line(text: str) -> str:
    return " ".join(text.split())


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


def _bounds(interval: Sequence[float] | None) -> str:
    return f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else ""
