"""The model card: every number in it was measured, and its command builds the model again."""

import re
from pathlib import Path
from typing import Any

import pytest

from model_build.gates import Gate
from model_build.reporting.card import render, table
from slipway.artifact import Manifest, read_manifest
from tests.model_build.samples import LABELS, quality, sample

GOOD = sample()


@pytest.fixture
def card(tiny_artifact: Path) -> str:
    return (tiny_artifact / "card.md").read_text("utf-8")


@pytest.fixture
def manifest(tiny_artifact: Path) -> Manifest:
    return read_manifest(tiny_artifact)


def test_every_metric_of_every_variant_is_in_the_card(card: str, manifest: Manifest) -> None:
    served = re.search(r"CPUs get \*\*(int8|fp32)\*\*", card)
    assert served
    head = re.search(r"\| split \| variant \| (.+) \|", card)
    assert head
    names = head[1].replace(" | ", ",").replace(" ", "_").split(",")
    assert set(names) == set(manifest.metrics["test"][served[1]])
    for split, by_variant in manifest.metrics.items():
        for variant, values in by_variant.items():
            cells = " | ".join(f"{values[name]:.4f}" for name in names)
            assert f"| {split} | {variant} | {cells} |" in card
    assert f"**Test accuracy {manifest.metrics['test'][served[1]]['accuracy']:.4f}**" in card


def test_every_gate_is_in_the_card_with_value_and_bound(card: str, manifest: Manifest) -> None:
    for gate in manifest.gates:
        sign = "≥" if gate["least"] else "≤"
        assert f"| {gate['name']} | {gate['value']:.6g} | {sign} {gate['bound']:g} | yes |" in card


def test_sizes_and_speeds_are_in_the_card(card: str, manifest: Manifest) -> None:
    for variant in ("fp32", "int8"):
        speed = manifest.speed[variant]
        assert f"| {variant} | {speed['megabytes']} | {speed['ms_alone']} | {speed['ms_packed']} |" in card


def test_rows_are_accounted_for(card: str) -> None:
    assert "600 rows read from" in card
    for split, texts in (("train", 480), ("dev", 60), ("test", 60)):
        counts = re.search(rf"\| {split} \| {texts} \| (\d+) \| (\d+) \|", card)
        assert counts
        assert int(counts[1]) + int(counts[2]) == texts


def test_the_confusion_matrix_adds_up_to_the_test_split(card: str) -> None:
    rows = re.findall(r"\| \*\*(?:negative|positive)\*\* \| (\d+) \| (\d+) \|", card)
    accuracy = re.search(r"\*\*Test accuracy (\d\.\d{4})\*\*", card)
    counts = [[int(cell) for cell in row] for row in rows]
    assert sum(map(sum, counts)) == 60
    assert accuracy
    assert (counts[0][0] + counts[1][1]) / 60 == pytest.approx(float(accuracy[1]), abs=1e-4)


def test_the_command_names_the_configuration(card: str, tiny_config: Path) -> None:
    assert f"slipway build --config {tiny_config} --rebuild" in card


def test_the_command_repeats_what_was_overridden(second_artifact: Path) -> None:
    """Built with ``--set train.seed=14``: without it the command builds another model."""
    assert "--set train.seed=14" in (second_artifact / "card.md").read_text("utf-8")


@pytest.mark.parametrize(
    "line",
    [
        "# Model card: films",
        "**Test accuracy 0.8388** (int8) on 852 held-out texts, 95 % interval 0.8142 to 0.8632.",
        "CPUs get **int8**: int8 is 3.37 times as fast as fp32 here, and at least 1.3 times is asked for.",
        "[report/report.html](report/report.html)",
        "- Labels of the data that look wrong: 1.",
        "Dropped: 1214 duplicate, 12 conflicting labels, 3 empty. Encoding mended in 118.",
        "| tf-idf + logistic regression | 0.7793 | 0.7510 to 0.8060 | 0.7790 |",
        "| this model (int8) | 0.8388 | 0.8142 to 0.8632 | 0.8386 |",
        "| **negative** | 349 | 77 |",
        "(temperature 1.2345). Calibration error on test: 0.0523 before, 0.0187 after.",
        "| cut:0.5+distil | rows | 0.8415 | 0.8388 | 6.20 % | 0.00 % | 0.890 | 17.5 | **ships** |",
        "Allowed is what meets `accuracy_drop <= 0.5` on dev",
        "| fp16 | 33.2 |  |  |",
        "on Intel(R) Xeon(R) Processor @ 2.10GHz with AVX512-VNNI. int8 is 3.4 times as fast as fp32.",
        "int8 was held against fp32 on these classes of CPU: native, avx2. Native is Intel(R) Xeon(R)",
        "**int8 was not measured on CPUs with: arm64.**",
        "| 1,000,000 | 1 | $3.73 |",
        "training: epochs 3, steps 642, best dev score 0.8451, precision bf16; seeds 13 (split) and 13 (training)",
        "content 3f1c3f1c",
    ],
)
def test_the_card_tells(line: str) -> None:
    assert line in render(GOOD)


def test_where_every_class_of_cpu_was_measured_no_warning_is_given() -> None:
    assert "not measured on" not in render(sample(unmeasured=[]))


def test_a_gate_that_only_advises_says_so() -> None:
    gate = Gate(name="speed of int8", value=1.1, bound=1.3, least=True, advisory=True)
    text = render(sample(gates=[gate]))
    assert "| speed of int8 | 1.1 | ≥ 1.3 | **no** (advisory) |" in text
    assert "Gates that did not pass" not in text


def test_a_gate_that_did_not_pass_is_seen() -> None:
    gate = Gate(name="parity", value=2, bound=1)
    assert "| parity | 2 | ≤ 1 | **no** |" in render(sample(gates=[gate]))


def test_fp32_ships_where_int8_is_not_worth_it() -> None:
    text = render(sample(serve="fp32", serve_reason="int8 is only 1.1 times as fast here."))
    assert "**Test accuracy 0.8392** (fp32)" in text
    assert "CPUs get **fp32**: int8 is only 1.1 times as fast here." in text


def test_what_was_not_measured_is_left_out() -> None:
    text = render(sample(data={}, training={}, quality={}, baselines=[], frontier=[], speed={}))
    for words in ("## Compression", "## Cost", "Confusion", "Calibration error", "times as fast as fp32."):
        assert words not in text


def test_many_labels_are_counted_not_listed() -> None:
    labels = [f"topic {i}" for i in range(1_000)]
    text = render(sample(labels=labels))
    assert "topic 11 and 988 more" in text
    assert "| split | texts |\n" in text


def test_a_network_from_scratch_and_several_labels_are_told() -> None:
    network = GOOD.config.network.model_copy(update={"kind": "lstm", "base": ""})
    found: dict[str, Any] = quality(LABELS, [[3, 1], [1, 3]]) | {"confusion": None}
    config = GOOD.config.model_copy(update={"network": network})
    text = render(sample(config=config, task="multi-label", quality=found))
    assert (
        "A multi-label text classifier for the labels negative, positive: a lstm network trained from scratch." in text
    )
    assert "It answers with the labels that score at least 0.5 whatever it is given" in text


def test_a_pipe_in_a_cell_does_not_end_it() -> None:
    assert table(["a|b"], [["c|d"]]).splitlines()[2] == r"| c\|d |"


def test_a_line_break_in_a_cell_does_not_end_its_row() -> None:
    assert len(table(["label"], [["two\nlines"]]).splitlines()) == 3
