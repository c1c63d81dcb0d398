"""``card.md``: what a person should know before trusting a version. Every number on it was measured by this build."""

import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_build.clean import SPLITS, Dataset
from model_build.config import BuildConfig
from model_build.gates import Gate


@dataclass(frozen=True, kw_only=True)
class CardData:
    """What the card is written from."""

    config: BuildConfig
    config_path: str
    overrides: Sequence[str]
    dataset: Dataset
    training: dict[str, Any]
    metrics: dict[str, dict[str, dict[str, float]]]
    confusion: list[list[int]]
    gates: Sequence[Gate]
    speed: dict[str, dict[str, float]]
    temperature: float
    code_revision: str


def render(card: CardData) -> str:
    """The card as Markdown."""
    parts = [_head(card), _data(card), _quality(card), _speed(card), _gates(card), _reproduce(card)]
    return "\n\n".join(parts) + "\n"


def _head(card: CardData) -> str:
    test = card.metrics["test"]["int8"]
    labels = ", ".join(card.dataset.labels)
    return (
        f"# Model card: {card.config.model}\n\n"
        f"A text classifier for the labels {labels}: `{card.config.network.base}` fine-tuned, mean-pooled, "
        f"int8 for CPUs and fp16 for GPUs. **Test accuracy {test['accuracy']:.4f}** (int8) on "
        f"{len(card.dataset.splits['test'])} held-out texts. "
        f"It reads up to {card.config.network.max_tokens} tokens of a text; what is longer is cut."
    )


def _data(card: CardData) -> str:
    splits = card.dataset.splits
    rows = [
        [name, len(splits[name]), *(sum(e.label == i for e in splits[name]) for i in range(len(card.dataset.labels)))]
        for name in SPLITS
    ]
    dropped = ", ".join(f"{count} {reason}" for reason, count in card.dataset.dropped.items()) or "none"
    return (
        f"## Data\n\n{table(['split', 'texts', *card.dataset.labels], rows)}\n\n"
        f"{card.dataset.rows} rows read from `{card.config.data.path}`. Dropped: {dropped}. "
        f"Encoding mended in {card.dataset.mended}. "
        "No two texts are the same after normalization, within or across splits."
    )


def _quality(card: CardData) -> str:
    names = list(card.metrics["test"]["int8"])
    rows = [
        [split, variant, *(f"{values[name]:.4f}" for name in names)]
        for split, by_variant in card.metrics.items()
        for variant, values in by_variant.items()
    ]
    confusion = [[f"**{label}**", *row] for label, row in zip(card.dataset.labels, card.confusion, strict=True)]
    return (
        f"## Quality\n\n{table(['split', 'variant', *(n.replace('_', ' ') for n in names)], rows)}\n\n"
        f"Probabilities are calibrated on the dev split (temperature {card.temperature}).\n\n"
        f"Confusion on the test split, int8; rows are true labels:\n\n{table(['', *card.dataset.labels], confusion)}"
    )


def _speed(card: CardData) -> str:
    rows = [[v, s["megabytes"], s.get("ms_alone", ""), s.get("ms_packed", "")] for v, s in card.speed.items()]
    ratio = card.speed["fp32"]["ms_alone"] / card.speed["int8"]["ms_alone"]
    return (
        "## Size and speed\n\n"
        f"{table(['variant', 'MB', 'ms a text, alone', 'ms a text, in packs'], rows)}\n\n"
        f"One thread, texts of the test split, tokenization not counted, on {_cpu()}. "
        f"int8 is {ratio:.1f} times as fast as fp32. fp16 is for GPUs and was not timed here."
    )


def _gates(card: CardData) -> str:
    rows = [
        [g.name, f"{g.value:.6g}", f"{'≥' if g.least else '≤'} {g.bound:g}", "yes" if g.passed else "**no**", g.note]
        for g in card.gates
    ]
    unmeasured = {"avx2"} - set(card.config.gates.cpu_classes)
    warning = "\n\n**Not measured on an AVX2-only CPU**, which Lambda may give." if unmeasured else ""
    return f"## Gates\n\n{table(['gate', 'measured', 'bound', 'passed', 'note'], rows)}{warning}"


def _reproduce(card: CardData) -> str:
    happened = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in card.training.items())
    command = shlex.join(["slipway", "build", "--config", card.config_path, "--rebuild", *card.overrides])
    return (
        f"## Reproduce\n\n```\n{command}\n"
        f"{command} --set gates.emulated_texts=0   # every test text on the emulated CPUs\n```\n\n"
        f"Code {card.code_revision}; training: {happened}; seeds {card.config.data.seed} (split) and "
        f"{card.config.train.seed} (training).\n\n"
        "## Limits\n\nIt answers with one of its labels whatever it is given; for texts unlike the data above, or in "
        "another language, a high score means nothing."
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    return f"{name}{' with AVX512-VNNI' if 'avx512_vnni' in flags else ''}"


def table(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; a pipe in a cell is escaped, and a line break is a space."""
    cells = [
        [" ".join(str(cell).split()).replace("|", "\\|") for cell in row] for row in (head, ["---"] * len(head), *rows)
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
