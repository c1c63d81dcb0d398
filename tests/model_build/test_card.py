"""The model card: every number in it was measured, and its command builds the model again."""

import re
from pathlib import Path

import pytest

from model_build.card import table
from slipway.artifact import Manifest, read_manifest


@pytest.fixture
def card(tiny_artifact: Path) -> str:
    return (tiny_artifact / "card.md").read_text("utf-8")


@pytest.fixture
def manifest(tiny_artifact: Path) -> Manifest:
    return read_manifest(tiny_artifact)


def test_every_metric_of_every_variant_is_in_the_card(card: str, manifest: Manifest) -> None:
    names = ["accuracy", "macro_f1", "log_loss", "calibration_error"]
    assert f"| split | variant | {' | '.join(names).replace('_', ' ')} |" in card
    for split, by_variant in manifest.metrics.items():
        for variant, values in by_variant.items():
            cells = " | ".join(f"{values[name]:.4f}" for name in names)
            assert f"| {split} | {variant} | {cells} |" in card
    assert f"**Test accuracy {manifest.metrics['test']['int8']['accuracy']:.4f}**" in card


def test_every_gate_is_in_the_card_with_value_and_bound(card: str, manifest: Manifest) -> None:
    for gate in manifest.gates:
        sign = "≥" if gate["least"] else "≤"
        assert f"| {gate['name']} | {gate['value']:.6g} | {sign} {gate['bound']:g} | yes |" in card


def test_a_class_of_cpu_that_was_not_gated_is_warned_of(card: str) -> None:
    assert "**Not measured on an AVX2-only CPU**" in card


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


def test_the_confusion_matrix_adds_up_to_the_test_split_and_its_accuracy(card: str, manifest: Manifest) -> None:
    rows = re.findall(r"\| \*\*(?:negative|positive)\*\* \| (\d+) \| (\d+) \|", card)
    counts = [[int(cell) for cell in row] for row in rows]
    assert sum(map(sum, counts)) == 60
    assert (counts[0][0] + counts[1][1]) / 60 == pytest.approx(manifest.metrics["test"]["int8"]["accuracy"])


def test_the_command_names_the_configuration(card: str, tiny_config: Path) -> None:
    assert f"slipway build --config {tiny_config} --rebuild" in card


def test_the_command_repeats_what_was_overridden(second_artifact: Path) -> None:
    """Built with ``--set train.seed=14``: without it the command builds another model."""
    assert "--set train.seed=14" in (second_artifact / "card.md").read_text("utf-8")


def test_a_pipe_in_a_cell_does_not_end_it() -> None:
    assert table(["a|b"], [["c|d"]]).splitlines()[2] == r"| c\|d |"


def test_a_line_break_in_a_cell_does_not_end_its_row() -> None:
    assert len(table(["label"], [["two\nlines"]]).splitlines()) == 3
