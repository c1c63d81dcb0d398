"""What a model must be before it is packaged. Every gate measures, says by how much, and is kept in the manifest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model_build.cpu_classes.emulate import texts_to_emulate
from model_build.cpu_classes.processor import native_instruction_sets
from model_build.evaluation.answers import Answers, answers, equal_answers, margins, movements, same_answers
from model_build.sections import CpuClass, GateConfig
from slipway.artifact import GPU_GATE, Task, Variant
from slipway.encoding import TokenIds
from slipway.errors import GateFailed
from slipway.network import Network
from slipway.probabilities import Logits, Probabilities, calibrate

BATCH = 32
FLOAT16_DIFFERENCE = 0.01  # of a probability; measured 2e-4 (docs/model-log.md)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One measurement: ``value`` must be at most ``bound`` (at least, where ``least``).

    An ``advisory`` gate refuses nothing; something else is done about it, which its note says.
    """

    name: str
    value: float
    bound: float
    least: bool = False
    advisory: bool = False
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value is inside the bound; NaN is not."""
        return self.value >= self.bound if self.least else self.value <= self.bound

    def __str__(self) -> str:
        relation = "≥" if self.least else "≤"
        return f"{self.name} is {self.value:.6g}, must be {relation} {self.bound:.6g}"

    def to_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self) | {"value": float(self.value), "passed": bool(self.passed)}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the gates look at, all of the test split; ``torch`` holds the reference logits of its first texts.

    ``labels`` are the right ones: of shape (texts,), or of shape (texts, labels) with 1 for each. ``logits``
    without "int8" is a model that has no such variant.
    """

    rows: Sequence[TokenIds]
    labels: Answers
    logits: Mapping[Variant, Logits]
    torch: Logits
    temperature: float
    task: Task = "single-label"

    def probabilities(self, logits: Logits) -> Probabilities:
        """Calibrated, of the shape of ``logits``."""
        return calibrate(logits, self.temperature, self.task)

    def right(self, logits: Logits) -> int:
        """Number of right answers: a difference of shares would miss a bound by a rounding error."""
        return int(equal_answers(answers(logits, self.task), self.labels).sum())

    def flips(self, logits: Logits, reference: Logits) -> int:
        """Number of texts that get another label, or another set of labels, than from ``reference``."""
        return int((~same_answers(logits, reference, self.task)).sum())


Emulate = Callable[[Sequence[TokenIds], CpuClass], Logits]


def run_gates(
    measured: Measured, networks: Mapping[Variant, Network], emulate: Emulate, config: GateConfig
) -> list[Gate]:
    """All gates, in order. Raises GateFailed naming each one that failed and by how much."""
    gates = parity(measured, config)
    if "int8" in measured.logits:
        here = f"this CPU has {native_instruction_sets()}"
        gates += int8_quality(measured, measured.logits["int8"], "native", config, here)
        gates.append(gpu_beside_cpu(measured, config))
        gates.append(batch_invariance(measured, networks["int8"], "int8", config))
    gates.append(batch_invariance(measured, networks["fp32"], "fp32", config))
    if "int8" in measured.logits:
        for cpu_class in config.cpu_classes:
            gates += emulated(measured, emulate, cpu_class, config) if cpu_class != "native" else []
    if failed := [gate for gate in gates if not (gate.passed or gate.advisory)]:
        raise GateFailed(
            f"{len(failed)} of {len(gates)} gates refuse the model: {'; '.join(map(str, failed))}.",
            remedy="Train longer or with more data; a bound is changed under [gates], for a reason you can defend.",
        )
    return gates


def parity(measured: Measured, config: GateConfig) -> list[Gate]:
    """Every exported graph against what it was made from."""
    fp32, fp16 = measured.logits["fp32"], measured.logits["fp16"]
    torch_gap = np.abs(fp32[: len(measured.torch)] - measured.torch).max()
    half_gap = np.abs(measured.probabilities(fp16) - measured.probabilities(fp32)).max()
    same = float(same_answers(fp16, fp32, measured.task).mean())
    return [
        Gate(name="fp32 logits against torch, largest difference", value=float(torch_gap), bound=config.parity),
        Gate(
            name="fp16 probabilities against fp32, largest difference", value=float(half_gap), bound=FLOAT16_DIFFERENCE
        ),
        Gate(name="fp16 label agreement with fp32", value=same, bound=_agreement(measured, config), least=True),
    ]


def gpu_beside_cpu(measured: Measured, config: GateConfig) -> Gate:
    """fp16 against int8, which answer the same API: the router sends a text to either.

    A model for CPUs is not refused for it: no GPU is given the version (``functions.release.version``).
    """
    half, int8, texts = measured.logits["fp16"], measured.logits["int8"], len(measured.labels)
    gap = np.abs(measured.probabilities(half) - measured.probabilities(int8)).max()
    flips = measured.flips(half, int8)
    note = f"{flips} of {texts} texts; the largest difference of a probability is {gap:.3f}"
    bound = _agreement(measured, config)
    return Gate(name=GPU_GATE, value=1 - flips / texts, bound=bound, least=True, advisory=True, note=note)


def _agreement(measured: Measured, config: GateConfig) -> float:
    """A split cannot show less than one text: of a small one, one may differ."""
    return min(config.agreement, 1 - 1 / len(measured.labels)) if config.agreement < 1 else 1.0


def int8_quality(measured: Measured, int8: Logits, cpu_class: CpuClass, config: GateConfig, note: str) -> list[Gate]:
    """Accuracy and labels of int8 on one class of CPU against fp32 here.

    ``cpu_flips`` is a share, but a split cannot show less than one text: below 1 / ``cpu_flips`` texts, one may flip.
    """
    fp32, texts = measured.logits["fp32"], len(measured.labels)
    drop = 100 * (measured.right(fp32) - measured.right(int8)) / texts
    flips = measured.flips(int8, fp32)
    bound = max(config.cpu_flips, 1 / texts) if config.cpu_flips else 0.0
    counted = f"{flips} of {texts} texts; {note}"
    return [
        Gate(name=f"int8 accuracy drop, {cpu_class}, points", value=drop, bound=config.accuracy_drop, note=note),
        Gate(name=f"int8 label flips against fp32, {cpu_class}", value=flips / texts, bound=bound, note=counted),
    ]


def batch_invariance(measured: Measured, network: Network, variant: Variant, config: GateConfig) -> Gate:
    """Each text alone against the same text among 31 others of any length, in the order of the split."""
    rows = measured.rows
    alone = network.logits(rows, pack_tokens=1)
    batches = [network.logits(rows[i : i + BATCH], pack_tokens=10**9) for i in range(0, len(rows), BATCH)]
    together = np.concatenate(batches)
    flips = measured.flips(alone, together)
    gap = float(np.abs(measured.probabilities(alone) - measured.probabilities(together)).max())
    return Gate(
        name=f"{variant} probabilities alone against batches of {BATCH}, largest difference",
        value=1.0 if flips else gap,
        bound=config.batch_tolerance,
        note=f"{flips} labels differ",
    )


def emulated(measured: Measured, emulate: Emulate, cpu_class: CpuClass, config: GateConfig) -> list[Gate]:
    """int8 on a CPU class that is not here, on the texts that decide."""
    native = measured.logits["int8"]
    found, note = _emulate_what_decides(measured, emulate, cpu_class, config.emulated_texts)
    gap = float(np.abs(measured.probabilities(found) - measured.probabilities(native)).max())
    name = f"int8 probabilities, {cpu_class} against native, largest difference"
    against = f"{measured.flips(found, native)} labels differ; {note}"
    return [
        *int8_quality(measured, found, cpu_class, config, note),
        Gate(name=name, value=gap, bound=config.cpu_tolerance, note=against),
    ]


def _emulate_what_decides(measured: Measured, emulate: Emulate, cpu_class: CpuClass, count: int) -> tuple[Logits, str]:
    """Logits of all texts, those that were not emulated as they are here; and a note of how many were.

    That is only sound while the margins of the others are larger than twice what any emulated answer moved; until that
    holds, the sample doubles, up to all texts.
    """
    native, task = measured.logits["int8"], measured.task
    leads, found, done = margins(native, task), native.copy(), np.zeros(len(native), np.bool_)
    while True:
        new = [i for i in texts_to_emulate(leads, count) if not done[i]]
        found[new] = emulate([measured.rows[i] for i in new], cpu_class)
        done[new] = True
        moved = float(movements(found, native, task).max())
        left = leads[~done]
        if not left.size or left.min() > 2 * moved:
            break
        count *= 2
    note = f"{done.sum()} of {len(done)} texts emulated; no margin moved by more than {moved:.3f}"
    return found, note + (f", the smallest margin of the others is {left.min():.3f}" if left.size else "")


def speed_ratio(speed: Mapping[str, Mapping[str, float]], config: GateConfig) -> Gate:
    """How many times as fast as fp32 int8 answers a single text here; ``speed`` is variant → ``ms_alone``.

    A slow int8 is no reason to refuse a model: fp32 is served instead.
    """
    ratio = speed["fp32"]["ms_alone"] / speed["int8"]["ms_alone"]
    note = f"{'int8' if ratio >= config.speed else 'fp32'} is served; this CPU has {native_instruction_sets()}"
    name = "speed of int8, times that of fp32"
    return Gate(name=name, value=ratio, bound=config.speed, least=True, advisory=True, note=note)


def choose_served(speed: Mapping[str, Mapping[str, float]], config: GateConfig) -> tuple[Variant, str]:
    """The variant that CPU functions serve, and why, in a sentence for the card."""
    if "int8" not in speed:
        return "fp32", "fp32 is served: this model has no int8 variant."
    gate = speed_ratio(speed, config)
    times = f"int8 is {gate.value:.2f} times as fast as fp32 here, and at least {gate.bound:g} times is asked for"
    return ("int8", f"int8 is served: {times}.") if gate.passed else ("fp32", f"fp32 is served: {times}.")
