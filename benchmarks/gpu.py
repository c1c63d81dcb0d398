"""The fp16 network on a GPU: its speed beside what the card does at most, its answers beside the CPU's, its server."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import gpu_limit
from benchmarks.asking import Dialect, invocations
from benchmarks.callers import load
from benchmarks.int8 import test_split
from benchmarks.measure import Skipped
from benchmarks.options import Options
from benchmarks.servers import Server, ours
from benchmarks.tables import Measured, Table, milliseconds
from benchmarks.texts import Texts
from slipway.artifact import Variant, model_file, read_manifest
from slipway.errors import ModelUnavailable
from slipway.network import CPU, GPU, Device, Network
from slipway.probabilities import calibrate

_CLIENTS = (1, 32, 128, 512)
_MANY = 32  # texts a request
_CPU_VARIANTS: tuple[Variant, ...] = ("fp32", "int8")


def measure(options: Options) -> Measured:
    """Five tables; three minutes. Raises Skipped where there is no GPU."""
    return measure_on(options, GPU)


def measure_on(options: Options, device: Device) -> Measured:
    """As ``measure``, on any device: tests have no GPU."""
    models = {"6 layers": options.artifact} | ({"3 layers": options.small} if options.small else {})
    try:
        tables = gpu_limit.measure(options, models, device)
    except ModelUnavailable as error:
        raise Skipped(str(error)) from error
    return Measured([*tables, _answers(options, models, device), _served(options, device)])


def _answers(options: Options, models: dict[str, Path], device: Device) -> Table:
    rows, counted = [], 0
    for name, artifact in models.items():
        options.progress(f"answers of {name}")
        ids, labels = test_split(options, artifact)
        counted = len(labels)
        network = _network(artifact, "fp16", device)
        found = network.logits(ids)
        others = {f"{variant} on the CPU": _network(artifact, variant, CPU).logits(ids) for variant in _CPU_VARIANTS}
        others["itself, one text a batch"] = network.logits(ids, pack_tokens=1)
        rows += [[f"{name}, {other}", *_against(artifact, found, logits, labels)] for other, logits in others.items()]
    return Table(
        title="(l) fp16 on the GPU against the CPU",
        reading=f"{counted} texts of the test split, in batches. An endpoint takes a version whose fp16 has the label "
        "of int8 for at least 99.5 % of them.",
        head=["compared with", "accuracy", "of the other", "same label", "largest difference of a probability"],
        rows=rows,
    )


def _network(artifact: Path, variant: Variant, device: Device) -> Network:
    return Network(artifact / model_file(variant), pad_id=read_manifest(artifact).pad_id, device=device)


def _against(artifact: Path, found: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> list[str]:
    manifest = read_manifest(artifact)
    both = [calibrate(each, manifest.temperature, manifest.task) for each in (found, logits)]
    same = 100 * float((found.argmax(1) == logits.argmax(1)).mean())
    accuracies = [f"{float((each.argmax(1) == labels).mean()):.4f}" for each in (found, logits)]
    return [*accuracies, f"{same:.2f} %", f"{float(np.abs(both[0] - both[1]).max()):.4f}"]


def _served(options: Options, device: Device) -> Table:
    artifact = options.small or options.artifact
    texts = Texts.of(artifact).long_tailed(2_048)
    groups = ["\n".join(texts[start : start + _MANY]) for start in range(0, len(texts), _MANY)]
    seconds, rows = options.count(6, 1), []
    with ours(artifact, options.folder("logs"), invocations(), device=device.name) as server:
        for many, dialect, asked in ((1, invocations(), texts), (_MANY, _lines(), groups)):
            for clients in _CLIENTS[: options.count(len(_CLIENTS), 1)]:
                options.progress(f"{clients} clients, {many} texts a request")
                rows.append([f"{clients}, {many}", *_row(server, dialect, clients, many, seconds, asked)])
    return Table(
        title="(l) The endpoint's server on the GPU",
        reading=f"Callers on loopback in a process of their own, {seconds} s each, texts of long-tailed lengths.",
        head=[
            "clients, texts a request",
            "requests/s",
            "texts/s",
            "p50 ms",
            "p99 ms",
            "texts a batch",
            "not answered 200",
        ],
        rows=rows,
        notes=[f"The network of {read_manifest(artifact).model} {read_manifest(artifact).version}."],
    )


def _lines() -> Dialect:
    """V1's body with a text a line."""
    return invocations()._replace(body=lambda lines: {"instances": lines.split("\n")})


def _row(server: Server, dialect: Dialect, clients: int, many: int, seconds: float, asked: Sequence[str]) -> list[str]:
    before = server.batches()
    met = load(server, clients, seconds, asked, dialect)
    after = server.batches()
    return [
        f"{met.rate:,.0f}",
        f"{met.rate * many:,.0f}",
        milliseconds(met.quantile(0.5)),
        milliseconds(met.quantile(0.99)),
        f"{(after.texts - before.texts) / max(1, after.runs - before.runs):.1f}",
        str(met.failed),
    ]
