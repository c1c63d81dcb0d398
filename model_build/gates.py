"""What a model must be before it is packaged. Every gate measures, says by how much, and is kept in the manifest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model_build.config import CpuClass, GateConfig
from model_build.emulate import texts_to_emulate
from model_build.evaluate import Labels
from slipway.artifact import Variant
from slipway.encoding import TokenIds
from slipway.errors import GateFailed
from slipway.predictor import Logits, Network, softmax

BATCH = 32
FLOAT16_DIFFERENCE = 0.01  # of a probability; measured 2e-4 (docs/model-log.md)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One measurement: ``value`` must be at most ``bound`` (at least, where ``least``)."""

    name: str
    value: float
    bound: float
    least: bool = False
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value is inside the bound; NaN is not."""
        return self.value >= self.bound if self.least else self.value <= self.bound

    def __str__(self) -> str:
        relation = "≥" if self.least else "≤"
        return f"{self.name} is {self.value:.6g}, must be {relation} {self.bound:g}"

    def to_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self) | {"value": float(self.value), "passed": bool(self.passed)}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the gates look at, all of the test split; ``torch`` holds the reference logits of its first texts."""

    rows: Sequence[TokenIds]
    labels: Labels
    logits: Mapping[Variant, Logits]
    torch: Logits
    temperature: float

    def probabilities(self, logits: Logits) -> npt.NDArray[np.float32]:
        return softmax(logits / np.float32(self.temperature))


Emulate = Callable[[Sequence[TokenIds], CpuClass], Logits]


def run_gates(
    measured: Measured, networks: Mapping[Variant, Network], emulate: Emulate, config: GateConfig
) -> list[Gate]:
    """All gates, in order. Raises GateFailed naming each one that failed and by how much."""
    gates = [*parity(measured, config), *int8_quality(measured, measured.logits["int8"], "native", config)]
    gates += [batch_invariance(measured, networks[variant], variant, config) for variant in ("int8", "fp32")]
    for cpu_class in config.cpu_classes:
        if cpu_class != "native":
            gates += emulated(measured, emulate, cpu_class, config)
    if failed := [gate for gate in gates if not gate.passed]:
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
    return [
        Gate(name="fp32 logits against torch, largest difference", value=float(torch_gap), bound=config.parity),
        Gate(
            name="fp16 probabilities against fp32, largest difference", value=float(half_gap), bound=FLOAT16_DIFFERENCE
        ),
        Gate(name="fp16 label agreement with fp32", value=agreement(fp16, fp32), bound=config.agreement, least=True),
    ]


def int8_quality(
    measured: Measured, int8: Logits, cpu_class: CpuClass, config: GateConfig, note: str = ""
) -> list[Gate]:
    """Accuracy and labels of int8 on one class of CPU against fp32."""
    fp32 = measured.logits["fp32"]
    drop = 100 * (right(fp32, measured.labels) - right(int8, measured.labels)) / len(measured.labels)
    same = agreement(int8, fp32)
    return [
        Gate(name=f"int8 accuracy drop, {cpu_class}, points", value=drop, bound=config.accuracy_drop, note=note),
        Gate(name=f"int8 label agreement, {cpu_class}", value=same, bound=config.agreement, least=True, note=note),
    ]


def batch_invariance(measured: Measured, network: Network, variant: Variant, config: GateConfig) -> Gate:
    """Each text alone against the same text among 31 others of any length, in the order of the split."""
    rows = measured.rows
    alone = measured.probabilities(network.logits(rows, pack_tokens=1))
    together = [network.logits(rows[i : i + BATCH], pack_tokens=10**9) for i in range(0, len(rows), BATCH)]
    batched = measured.probabilities(np.concatenate(together))
    flips = int((alone.argmax(1) != batched.argmax(1)).sum())
    worst = float(np.abs(alone - batched).max()) if not flips else 1.0
    name = f"{variant} probabilities alone against batches of {BATCH}, largest difference"
    return Gate(name=name, value=worst, bound=config.batch_tolerance, note=f"{flips} labels differ")


def emulated(measured: Measured, emulate: Emulate, cpu_class: CpuClass, config: GateConfig) -> list[Gate]:
    """int8 on a CPU class that is not here, on the texts that decide.

    A text that is not emulated keeps the label found here, which is only sound while its margin is larger than twice
    what any emulated answer moved; until that holds, the sample doubles, up to all texts.
    """
    native = measured.logits["int8"]
    margins = label_margins(native)
    count = config.emulated_texts
    while True:
        chosen = texts_to_emulate(margins, count)
        answers = native.copy()
        answers[chosen] = emulate([measured.rows[i] for i in chosen], cpu_class)
        moved = float(np.ptp(answers - native, axis=1).max())  # no margin can change by more
        left = np.delete(margins, chosen)
        if not left.size or left.min() > 2 * moved:
            break
        count *= 2
    note = f"{len(chosen)} of {len(margins)} texts emulated; no logit moved by more than {moved:.3f}"
    note += f", the smallest margin of the others is {left.min():.3f}" if left.size else ""
    gap = float(np.abs(measured.probabilities(answers) - measured.probabilities(native)).max())
    name = f"int8 probabilities, {cpu_class} against native, largest difference"
    return [
        *int8_quality(measured, answers, cpu_class, config, note),
        Gate(name=name, value=gap, bound=config.cpu_tolerance, note=note),
    ]


def right(logits: Logits, labels: Labels) -> int:
    """Number of right labels: a difference of shares would miss a bound by a rounding error."""
    return int((logits.argmax(1) == labels).sum())


def agreement(logits: Logits, reference: Logits) -> float:
    """Share of texts that get the same label from both."""
    return float((logits.argmax(1) == reference.argmax(1)).mean())


def label_margins(logits: Logits) -> Logits:
    """By how much the best logit leads the second; shape (texts,).

    >>> label_margins(np.array([[1.0, 3.0, 2.5]])).tolist()
    [0.5]
    """
    best = np.partition(logits, -2, axis=1)[:, -2:]
    return best[:, 1] - best[:, 0]
