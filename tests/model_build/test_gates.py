"""Each gate refuses what it should, says by how much, and emulates as many texts as it takes."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_build.config import CpuClass, GateConfig
from model_build.gates import Gate, Measured, agreement, emulated, int8_quality, label_margins, run_gates
from slipway.encoding import TokenIds
from slipway.errors import GateFailed
from slipway.predictor import Logits

TEXTS = 200
CONFIG = GateConfig()


def ladder(texts: int = TEXTS) -> Logits:
    """Two labels in turn; text i leads by (i + 1) / 10."""
    logits = np.zeros((texts, 2), np.float32)
    logits[np.arange(texts), np.arange(texts) % 2] = (np.arange(texts) + 1) / 10
    return logits


def good(texts: int = TEXTS) -> Measured:
    logits = ladder(texts)
    return Measured(
        rows=[np.array([i, *[1] * (i % 7)], np.int32) for i in range(texts)],
        labels=np.arange(texts) % 2,
        logits={"fp32": logits, "int8": logits.copy(), "fp16": logits.copy()},
        torch=logits[:50].copy(),
        temperature=1.0,
    )


class Table:
    """A network that looks its answers up by a row's first token; ``in_batch`` is added to text 3 among others."""

    def __init__(self, logits: Logits, in_batch: float = 0) -> None:
        self.answers = logits
        self.in_batch = in_batch

    def logits(self, rows: Sequence[TokenIds], *, pack_tokens: int) -> Logits:
        together = pack_tokens > 1 and len(rows) > 1
        answers = self.answers[[row[0] for row in rows]].copy()
        for answer, row in zip(answers, rows, strict=True):
            answer[0] += self.in_batch if together and row[0] == 3 else 0
        return answers


def native(rows: Sequence[TokenIds], cpu_class: CpuClass) -> Logits:
    return ladder()[[row[0] for row in rows]]


def run(measured: Measured, emulate: Any = native, config: GateConfig = CONFIG, **networks: Any) -> list[Gate]:
    tables = {variant: networks.get(variant, Table(measured.logits[variant])) for variant in ("int8", "fp32")}
    return run_gates(measured, tables, emulate, config)


def refused(measured: Measured, **options: Any) -> str:
    with pytest.raises(GateFailed) as error_info:
        run(measured, **options)
    return str(error_info.value)


def with_logits(variant: str, logits: Logits) -> Measured:
    measured = good()
    return dataclasses.replace(measured, logits={**measured.logits, variant: logits})


def flipped(count: int) -> Logits:
    """The answers with the labels of ``count`` texts turned round, those that lead by most."""
    logits = ladder()
    logits[-count:] = logits[-count:, ::-1].copy()
    return logits


def test_a_model_that_is_the_same_everywhere_passes_every_gate() -> None:
    gates = run(good())
    assert all(gate.passed for gate in gates)
    assert len({gate.name for gate in gates}) == len(gates) == 10
    assert json.loads(json.dumps([gate.to_dict() for gate in gates]))[0]["passed"] is True


def test_an_export_that_differs_from_torch_is_refused_with_value_and_bound() -> None:
    measured = good()
    measured.torch[7, 1] += 0.25
    message = refused(measured)
    assert "fp32 logits against torch, largest difference is 0.25, must be ≤ 0.001" in message
    assert message.startswith("1 of 10 gates refuse the model")


def test_fp16_that_moves_a_probability_is_refused() -> None:
    half = ladder()
    half[0, 0] += 0.1
    assert "fp16 probabilities against fp32, largest difference is 0.02" in refused(with_logits("fp16", half))


def test_fp16_that_changes_labels_is_refused() -> None:
    assert "fp16 label agreement with fp32 is 0.985, must be ≥ 0.99" in refused(with_logits("fp16", flipped(3)))


def test_int8_that_loses_accuracy_and_labels_is_refused_by_both_gates() -> None:
    message = refused(with_logits("int8", flipped(4)))
    assert "int8 accuracy drop, native, points is 2, must be ≤ 0.5" in message
    assert "int8 label agreement, native is 0.98, must be ≥ 0.99" in message


def test_a_drop_of_just_the_bound_passes() -> None:
    """1 of 200 texts is 0.5 points, "at most 0.5" allows it; 100 * (1 - 0.995) is a little more than 0.5."""
    drop = int8_quality(good(), flipped(1), "native", CONFIG)[0]
    assert drop.value == pytest.approx(0.5)
    assert drop.passed


def test_int8_that_is_better_than_fp32_is_no_drop() -> None:
    measured = dataclasses.replace(with_logits("fp32", flipped(2)))
    assert int8_quality(measured, ladder(), "native", CONFIG)[0].value == pytest.approx(-1)


@pytest.mark.parametrize("variant", ["int8", "fp32"])
def test_an_answer_that_depends_on_the_batch_is_refused(variant: str) -> None:
    message = refused(good(), **{variant: Table(ladder(), in_batch=1e-3)})
    assert f"{variant} probabilities alone against batches of 32" in message
    assert "must be ≤ 1e-05" in message


def test_a_label_that_depends_on_the_batch_counts_as_the_largest_difference() -> None:
    assert "largest difference is 1, must" in refused(good(), int8=Table(ladder(), in_batch=5))


def test_a_cpu_class_on_which_probabilities_move_is_refused() -> None:
    def elsewhere(rows: Sequence[TokenIds], cpu_class: CpuClass) -> Logits:
        assert cpu_class == "avx2"
        return native(rows, cpu_class) * np.float32(1.5)

    message = refused(good(), emulate=elsewhere)
    assert "int8 probabilities, avx2 against native, largest difference is" in message
    assert "must be ≤ 0.05" in message


def test_a_cpu_class_on_which_labels_change_is_refused() -> None:
    message = refused(good(), emulate=lambda rows, _: native(rows, "avx2")[:, ::-1])
    assert "int8 accuracy drop, avx2, points is 100" in message
    assert "int8 label agreement, avx2 is 0," in message


def test_a_native_gate_alone_emulates_nothing() -> None:
    def never(rows: Sequence[TokenIds], cpu_class: CpuClass) -> Logits:
        raise AssertionError(cpu_class)

    assert len(run(good(), emulate=never, config=GateConfig(cpu_classes=("native",)))) == 7


def test_every_failed_gate_is_listed() -> None:
    measured = with_logits("int8", flipped(9))
    measured.torch[0] += 1
    message = refused(measured, fp32=Table(ladder(), in_batch=5))
    for name in ("against torch", "accuracy drop, native", "label agreement, native", "fp32 probabilities alone"):
        assert name in message


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("variant", ["fp32", "fp16", "int8", "torch"])
def test_nan_never_passes(variant: str) -> None:
    nan = np.full((TEXTS, 2), np.nan, np.float32)
    measured = dataclasses.replace(good(), torch=nan[:50]) if variant == "torch" else with_logits(variant, nan)
    assert "refuse the model" in refused(measured)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_nan_from_the_emulator_never_passes_and_ends() -> None:
    message = refused(good(), emulate=lambda rows, _: np.full((len(rows), 2), np.nan, np.float32))
    assert "avx2 against native, largest difference is nan" in message


def test_nan_is_inside_no_bound() -> None:
    assert not Gate(name="x", value=float("nan"), bound=1).passed
    assert not Gate(name="x", value=float("nan"), bound=0, least=True).passed
    assert Gate(name="x", value=1, bound=1).passed
    assert Gate(name="x", value=1, bound=1, least=True).passed


class Emulator:
    """Adds ``by`` to the first logit of every text that it is given, and remembers which those were."""

    def __init__(self, by: float) -> None:
        self.by = by
        self.calls: list[list[int]] = []

    def __call__(self, rows: Sequence[TokenIds], cpu_class: CpuClass) -> Logits:
        self.calls.append([int(row[0]) for row in rows])
        answers = native(rows, cpu_class)
        answers[:, 0] += self.by
        return answers


def emulate_ladder(by: float, texts: int = 100, count: int = 8) -> tuple[list[Gate], Emulator]:
    emulator = Emulator(by)
    return emulated(good(texts), emulator, "avx2", GateConfig(emulated_texts=count)), emulator


def test_a_small_movement_needs_no_more_than_the_first_sample() -> None:
    gates, emulator = emulate_ladder(0.01)
    assert [len(call) for call in emulator.calls] == [8]
    assert set(range(6)) <= set(emulator.calls[0])  # three in four are the nearest to tipping
    assert gates[0].note.startswith("8 of 100 texts emulated; no logit moved by more than 0.010")


def test_the_sample_doubles_until_what_is_left_is_out_of_reach() -> None:
    _, emulator = emulate_ladder(0.5)  # nobody is safe who leads by 1.0 or less: the first ten
    assert [len(call) for call in emulator.calls] == [8, 16]
    assert set(range(10)) <= set(emulator.calls[-1])


def test_a_large_movement_ends_with_every_text() -> None:
    gates, emulator = emulate_ladder(50)
    assert [len(call) for call in emulator.calls] == [8, 16, 32, 64, 100]
    assert "100 of 100 texts emulated" in gates[0].note
    assert gates[1].value == pytest.approx(0.5)  # all of them now have the first label, and half had it before


def test_zero_means_all_texts_at_once() -> None:
    _, emulator = emulate_ladder(0.01, count=0)
    assert [len(call) for call in emulator.calls] == [100]


@given(st.floats(0, 8), st.integers(1, 120))
def test_what_was_not_emulated_could_not_have_changed_its_label(by: float, count: int) -> None:
    """The verdict on the sample is that on all texts."""
    gates, emulator = emulate_ladder(by, count=count)
    everywhere = good(100)
    answers = Emulator(by)(everywhere.rows, "avx2")
    assert gates[1].value == agreement(answers, everywhere.logits["fp32"])
    assert gates[0].value == int8_quality(everywhere, answers, "avx2", CONFIG)[0].value
    untouched = sorted(set(range(100)) - set(emulator.calls[-1]))
    assert (label_margins(ladder(100))[untouched] > 2 * by).all()


def test_movement_is_that_between_logits_and_not_a_shift_of_all() -> None:
    emulator = Emulator(0)
    measured = good(100)

    def shifted(rows: Sequence[TokenIds], cpu_class: CpuClass) -> Logits:
        return emulator(rows, cpu_class) + 100

    gates = emulated(measured, shifted, "avx2", GateConfig(emulated_texts=8))
    assert len(emulator.calls) == 1
    assert all(gate.passed for gate in gates)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_a_margin_is_what_the_best_leads_by(seed: int, labels: int) -> None:
    logits = np.random.default_rng(seed).normal(size=(9, labels)).astype(np.float32)
    ordered = np.sort(logits, axis=1)
    assert np.array_equal(label_margins(logits), ordered[:, -1] - ordered[:, -2])
