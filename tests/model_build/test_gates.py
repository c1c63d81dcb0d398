"""Each gate refuses what it should, says by how much, and emulates as many texts as it takes."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_build.cpu_classes.processor import native_instruction_sets
from model_build.evaluation.answers import margins
from model_build.gates import Gate, Measured, choose_served, emulated, int8_quality, run_gates, speed_ratio
from model_build.sections import CpuClass, GateConfig
from slipway.artifact import GPU_GATE
from slipway.encoding import TokenIds
from slipway.errors import GateFailed
from slipway.probabilities import Logits

TEXTS = 200
CONFIG = GateConfig(cpu_flips=0.005)
LENIENT = GateConfig(cpu_flips=0.02, accuracy_drop=2, cpu_classes=("native",))


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
    assert len({gate.name for gate in gates}) == len(gates) == 11
    assert json.loads(json.dumps([gate.to_dict() for gate in gates]))[0]["passed"] is True


def test_an_export_that_differs_from_torch_is_refused_with_value_and_bound() -> None:
    measured = good()
    measured.torch[7, 1] += 0.25
    message = refused(measured)
    assert "fp32 logits against torch, largest difference is 0.25, must be ≤ 0.001" in message
    assert message.startswith("1 of 11 gates refuse the model")


def test_fp16_that_moves_a_probability_is_refused() -> None:
    half = ladder()
    half[0, 0] += 0.1
    assert "fp16 probabilities against fp32, largest difference is 0.02" in refused(with_logits("fp16", half))


def test_fp16_that_changes_labels_is_refused() -> None:
    assert "fp16 label agreement with fp32 is 0.985, must be ≥ 0.995" in refused(with_logits("fp16", flipped(3)))


def test_where_int8_and_fp16_differ_no_gate_refuses_but_the_manifest_says_that_no_gpu_may_answer() -> None:
    (gate,) = [gate for gate in run(with_logits("int8", flipped(2)), config=LENIENT) if gate.name == GPU_GATE]
    assert (gate.passed, gate.value, gate.bound) == (False, 0.99, 0.995)
    assert gate.note.startswith("2 of 200 texts; the largest difference of a probability is 1.000")


def test_one_text_of_a_small_split_may_differ() -> None:
    (gate,) = [gate for gate in run(with_logits("int8", flipped(1)), config=LENIENT) if gate.name == GPU_GATE]
    assert gate.passed


def test_int8_that_loses_accuracy_and_labels_is_refused_by_both_gates() -> None:
    message = refused(with_logits("int8", flipped(4)))
    assert "int8 accuracy drop, native, points is 2, must be ≤ 0.5" in message
    assert "int8 label flips against fp32, native is 0.02, must be ≤ 0.005" in message


@pytest.mark.parametrize(
    ("texts", "bound", "most"),
    [(200, 0.005, 1), (852, 0.005, 4), (1_000, 0.005, 5), (60, 0.005, 1), (200, 0.0, 0), (30, 0.1, 3)],
)
def test_as_many_labels_may_flip_as_the_bound_says_and_one_where_it_says_less(
    texts: int, bound: float, most: int
) -> None:
    """A split of 60 texts cannot tell 0.5 % from one text. A bound of 0 says that none may."""
    config = GateConfig(cpu_flips=bound)
    measured = good(texts)

    def flips(count: int) -> Gate:
        logits = ladder(texts)
        logits[:count] = logits[:count, ::-1].copy()
        return int8_quality(measured, logits, "native", config, "")[1]

    assert [flips(most).passed, flips(most + 1).passed] == [True, False]
    assert flips(most).note.startswith(f"{most} of {texts} texts")


def test_what_flips_is_held_against_fp32_and_not_against_the_truth() -> None:
    measured = dataclasses.replace(with_logits("fp32", flipped(40)))
    drop, flips = int8_quality(measured, flipped(40), "native", CONFIG, "")
    assert (drop.value, flips.value) == (0, 0)


def test_the_native_gates_say_what_this_cpu_has() -> None:
    notes = [gate.note for gate in run(good()) if "native" in gate.name and "avx2" not in gate.name]
    assert len(notes) == 2
    assert all(f"this CPU has {native_instruction_sets()}" in note for note in notes)


def test_a_drop_of_just_the_bound_passes() -> None:
    """1 of 200 texts is 0.5 points, "at most 0.5" allows it; 100 * (1 - 0.995) is a little more than 0.5."""
    drop = int8_quality(good(), flipped(1), "native", CONFIG, "")[0]
    assert drop.value == pytest.approx(0.5)
    assert drop.passed


def test_int8_that_is_better_than_fp32_is_no_drop() -> None:
    measured = dataclasses.replace(with_logits("fp32", flipped(2)))
    assert int8_quality(measured, ladder(), "native", CONFIG, "")[0].value == pytest.approx(-1)


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
    assert "int8 label flips against fp32, avx2 is 1," in message


def test_a_native_gate_alone_emulates_nothing() -> None:
    def never(rows: Sequence[TokenIds], cpu_class: CpuClass) -> Logits:
        raise AssertionError(cpu_class)

    assert len(run(good(), emulate=never, config=GateConfig(cpu_classes=("native",)))) == 8


def test_every_failed_gate_is_listed() -> None:
    measured = with_logits("int8", flipped(9))
    measured.torch[0] += 1
    message = refused(measured, fp32=Table(ladder(), in_batch=5))
    for name in (
        "against torch",
        "accuracy drop, native",
        "label flips against fp32, native",
        "fp32 probabilities alone",
    ):
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

    @property
    def seen(self) -> set[int]:
        return {text for call in self.calls for text in call}


def emulate_ladder(by: float, texts: int = 100, count: int = 8) -> tuple[list[Gate], Emulator]:
    emulator = Emulator(by)
    return emulated(good(texts), emulator, "avx2", GateConfig(emulated_texts=count)), emulator


def test_a_small_movement_needs_no_more_than_the_first_sample() -> None:
    gates, emulator = emulate_ladder(0.01)
    assert [len(call) for call in emulator.calls] == [8]
    assert set(range(6)) <= emulator.seen  # three in four are the nearest to tipping
    assert "8 of 100 texts emulated; no margin moved by more than 0.010" in gates[0].note


def test_the_sample_grows_until_what_is_left_is_out_of_reach() -> None:
    _, emulator = emulate_ladder(0.5)  # nobody is safe who leads by 1.0 or less: the first ten
    assert len(emulator.calls) == 2
    assert set(range(12)) <= emulator.seen


def test_a_large_movement_ends_with_every_text() -> None:
    gates, emulator = emulate_ladder(50)
    assert emulator.seen == set(range(100))
    assert "100 of 100 texts emulated" in gates[0].note
    assert gates[1].value == pytest.approx(0.5)  # all of them now have the first label, and half had it before
    assert gates[2].note.startswith("50 labels differ; ")


def test_zero_means_all_texts_at_once() -> None:
    _, emulator = emulate_ladder(0.01, count=0)
    assert [len(call) for call in emulator.calls] == [100]


@given(st.floats(0, 8), st.integers(1, 120))
def test_no_text_is_emulated_twice(by: float, count: int) -> None:
    _, emulator = emulate_ladder(by, count=count)
    assert len(emulator.seen) == sum(map(len, emulator.calls))
    assert all(emulator.calls)


@given(st.floats(0, 8), st.integers(1, 120))
def test_what_was_not_emulated_could_not_have_changed_its_label(by: float, count: int) -> None:
    """The verdict on the sample is that on all texts."""
    gates, emulator = emulate_ladder(by, count=count)
    everywhere = good(100)
    answers = Emulator(by)(everywhere.rows, "avx2")
    expected = int8_quality(everywhere, answers, "avx2", CONFIG, "")
    assert [gate.value for gate in gates[:2]] == [gate.value for gate in expected]
    untouched = sorted(set(range(100)) - emulator.seen)
    assert (margins(ladder(100), "single-label")[untouched] > 2 * by).all()


def test_movement_is_that_between_logits_and_not_a_shift_of_all() -> None:
    emulator = Emulator(0)
    measured = good(100)

    def shifted(rows: Sequence[TokenIds], cpu_class: CpuClass) -> Logits:
        return emulator(rows, cpu_class) + 100

    gates = emulated(measured, shifted, "avx2", GateConfig(emulated_texts=8))
    assert len(emulator.calls) == 1
    assert all(gate.passed for gate in gates)


def test_every_class_of_cpu_has_its_own_gates() -> None:
    seen: list[CpuClass] = []

    def emulate(rows: Sequence[TokenIds], cpu_class: CpuClass) -> Logits:
        seen.append(cpu_class)
        return native(rows, cpu_class)

    names = [gate.name for gate in run(good(), emulate, GateConfig(cpu_classes=("native", "avx2", "arm64")))]
    assert seen == ["avx2", "arm64"]
    for cpu_class in ("native", "avx2", "arm64"):
        assert f"int8 label flips against fp32, {cpu_class}" in names
    assert len(names) == len(set(names)) == 14


def test_one_class_on_which_labels_flip_is_enough_to_refuse() -> None:
    def emulate(rows: Sequence[TokenIds], cpu_class: CpuClass) -> Logits:
        answers = native(rows, cpu_class)
        return answers[:, ::-1] if cpu_class == "arm64" else answers

    message = refused(good(), emulate=emulate, config=GateConfig(cpu_classes=("native", "avx2", "arm64")))
    assert "flips against fp32, arm64" in message
    assert "avx2" not in message


def test_a_model_without_an_int8_variant_is_gated_without_it() -> None:
    measured = good()
    logits = {variant: values for variant, values in measured.logits.items() if variant != "int8"}
    gates = run_gates(dataclasses.replace(measured, logits=logits), {"fp32": Table(ladder())}, native, CONFIG)
    assert len(gates) == 4
    assert not [gate for gate in gates if "int8" in gate.name]


def sets(texts: int = TEXTS) -> Measured:
    """Three labels of which text i has as many as i modulo 4; its logits are (i + 1) / 10 away from tipping."""
    signs = np.where(np.arange(3) < np.arange(texts)[:, None] % 4, 1, -1)
    logits = (signs * (np.arange(texts)[:, None] + 1) / 10).astype(np.float32)
    return dataclasses.replace(
        good(texts),
        labels=(signs > 0).astype(np.uint8),
        logits={"fp32": logits, "int8": logits.copy(), "fp16": logits.copy()},
        torch=logits[:50].copy(),
        task="multi-label",
    )


def sets_elsewhere(by: float) -> Any:
    def emulate(rows: Sequence[TokenIds], cpu_class: CpuClass) -> Logits:
        return sets().logits["int8"][[row[0] for row in rows]] + np.float32(by)

    return emulate


def test_sets_of_labels_that_are_the_same_everywhere_pass() -> None:
    gates = run(sets(), sets_elsewhere(0))
    assert all(gate.passed for gate in gates)
    assert len(gates) == 11


def test_a_set_that_differs_in_one_label_is_another_set() -> None:
    measured = sets()
    measured.logits["int8"][-2:, 2] *= -1
    drop, flips = int8_quality(measured, measured.logits["int8"], "native", CONFIG, "")
    assert drop.value == pytest.approx(1)
    assert flips.value == pytest.approx(0.01)
    assert "label flips against fp32, native" in refused(measured, emulate=sets_elsewhere(0))


def test_sets_are_emulated_until_no_label_of_the_others_can_tip() -> None:
    """All logits alike moving by 0.5 changes no argmax, but the sets of the first five texts."""
    message = refused(sets(), emulate=sets_elsewhere(0.5))
    assert "int8 label flips against fp32, avx2 is 0.02, must be ≤ 0.005" in message


def test_probabilities_of_sets_are_each_label_s_own() -> None:
    measured = dataclasses.replace(sets(), temperature=2.0)
    probabilities = measured.probabilities(np.array([[0.0, 2.0, -200.0]], np.float32))
    assert probabilities[0] == pytest.approx([0.5, 1 / (1 + np.exp(-1)), 0])


@pytest.mark.parametrize(
    ("int8", "served", "words"),
    [
        (2.0, "int8", "int8 is served: int8 is 2.00 times as fast as fp32 here, and at least 1.3 times is asked for."),
        (3.0, "int8", "int8 is served"),
        (3.5, "fp32", "fp32 is served: int8 is 1.14 times as fast as fp32 here"),
        (9.0, "fp32", "fp32 is served: int8 is 0.44 times"),
    ],
)
def test_int8_is_served_where_it_is_worth_it(int8: float, served: str, words: str) -> None:
    speed = {"fp32": {"ms_alone": 4.0, "megabytes": 90.0}, "int8": {"ms_alone": int8, "megabytes": 23.0}}
    variant, reason = choose_served(speed, CONFIG)
    assert variant == served
    assert reason.startswith(words)
    gate = speed_ratio(speed, CONFIG)
    assert gate.advisory
    assert gate.passed == (served == "int8")
    assert gate.note.startswith(f"{served} is served; this CPU has ")


def test_without_int8_fp32_is_served() -> None:
    variant, reason = choose_served({"fp32": {"ms_alone": 4.0}}, CONFIG)
    assert variant == "fp32"
    assert "no int8 variant" in reason
