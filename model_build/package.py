"""The artifact directory: everything a version consists of, checksummed, with the manifest written last."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model_build.reporting import card
from model_build.reporting.report import ReportData, write_report
from slipway.artifact import (
    CARD,
    MANIFEST,
    VARIANTS,
    FileEntry,
    Golden,
    Manifest,
    Task,
    Variant,
    describe_file,
    model_file,
)
from slipway.encoding import Encoder
from slipway.loading import load_predictor
from slipway.network import Network
from slipway.probabilities import calibrate

# Beside four texts of the test split: what tokenizers disagree about between releases.
_HARD_TEXTS = ["", "Ünïcödé, 中文, العربية and 👩🏽‍🚀!", "[CLS] [PAD] [SEP] are text here", "very long " * 400]


def golden_examples(
    texts: Sequence[str], encoder: Encoder, networks: Mapping[Variant, Network], temperature: float, task: Task
) -> list[Golden]:
    """Four of ``texts``, from the shortest to the longest, and some hard cases, with every variant's answer."""
    by_length = sorted(texts, key=len)
    chosen = [by_length[i] for i in sorted({0, len(texts) // 4, len(texts) // 2, len(texts) - 1})]
    chosen += _HARD_TEXTS
    rows = [encoded.ids for encoded in encoder.encode(chosen)]
    answers = {v: calibrate(network.logits(rows), temperature, task) for v, network in networks.items()}
    return [
        Golden(text=text, token_ids=row.tolist(), probabilities={v: answers[v][i].tolist() for v in answers})
        for i, (text, row) in enumerate(zip(chosen, rows, strict=True))
    ]


def describe_files(directory: Path) -> dict[str, FileEntry]:
    """Every file below ``directory`` by its relative name, without the manifest."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(directory).as_posix(): describe_file(path) for path in files}


def content_digest(directory: Path, fields: Mapping[str, Any]) -> str:
    """What ``Manifest.content_digest`` will be of ``directory`` with these fields, before its documents are written."""
    return Manifest(created="", files=describe_files(directory), **fields).content_digest()


def seal(directory: Path, into: Path, **fields: Any) -> Path:
    """Write the manifest and move the directory to ``into/<version>``, where it appears whole.

    The artifact is opened first as a function would open it, so that what cannot be served is never sealed.
    """
    manifest = Manifest(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), files=describe_files(directory), **fields
    )
    (directory / MANIFEST).write_bytes(manifest.to_json())
    for variant in VARIANTS:
        load_predictor(directory, variant)
    target = into / manifest.version
    directory.rename(target)
    return target


def code_revision() -> str:
    """The git commit of this code, with ``+`` if files differ from it; ``unknown`` outside of git."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--abbrev=12"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"


def file_sizes(directory: Path) -> dict[str, float]:
    """Megabytes by variant, graph and weights together."""
    sizes = {v: sum(p.stat().st_size for p in directory.glob(f"{model_file(v)}*")) / 1e6 for v in VARIANTS}
    return {variant: round(size, 1) for variant, size in sizes.items()}


def write_documents(directory: Path, data: ReportData) -> None:
    """``card.md`` and ``report/``."""
    (directory / CARD).write_text(card.render(data), "utf-8")
    write_report(directory, data)
