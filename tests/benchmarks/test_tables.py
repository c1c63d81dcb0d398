"""A result on the terminal, in Markdown, in a file and back; the report with its plot."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.report import plot, write_report
from benchmarks.tables import Result, Table

TABLE = Table(
    title="(a) Speed",
    reading="Lower is better.",
    head=["", "ms"],
    rows=[["ours [x]", "1.0"], ["a|b", "2"]],
    notes=["Why."],
)
RESULT = Result(
    topic="latency",
    command="python -m benchmarks latency",
    date="2026-11-26 00:00 UTC",
    machine="a processor",
    quick=False,
    seconds=3.2,
    tables=[TABLE],
    numbers={"slipway int8": 0.002, "a peer": 0.0111},
)


def test_the_markdown_has_the_sentence_the_rows_and_the_notes() -> None:
    assert TABLE.markdown() == (
        "### (a) Speed\n\nLower is better.\n\n|  | ms |\n| --- | --- |\n| ours [x] | 1.0 |\n| a\\|b | 2 |\n\n- Why.\n"
    )


def test_a_table_is_shown_whole_and_brackets_are_no_markup() -> None:
    shown = io.StringIO()
    RESULT.show(Console(file=shown, width=100))
    assert all(text in shown.getvalue() for text in ("(a) Speed", "ours [x]", "Lower is better.", "Why."))


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    RESULT.save(tmp_path)
    assert Result.read(tmp_path / "latency.json") == replace(RESULT, tables=[TABLE])


def test_a_report_names_command_date_and_machine_and_has_the_plot(tmp_path: Path) -> None:
    text = write_report([RESULT], tmp_path).read_text()
    assert "`python -m benchmarks latency`, 2026-11-26 00:00 UTC, 3 s, on a processor." in text
    assert TABLE.markdown() in text
    assert "(benchmarks.svg)" in text
    assert "quick run" not in text
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "benchmarks.svg").read_text()
    assert svg.startswith("<svg")
    assert all(text in svg for text in ("slipway int8", "xmlns="))


def test_a_report_of_a_quick_run_says_so_and_one_without_latencies_has_no_plot(tmp_path: Path) -> None:
    text = write_report([replace(RESULT, topic="int8", quick=True)], tmp_path).read_text()
    assert "A quick run: too few repetitions to quote." in text
    assert "benchmarks.svg" not in text


def test_the_fastest_row_is_on_top() -> None:
    (axes,) = plot({"slow": 1.0, "slipway": 0.001}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["slipway", "slow"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


@pytest.mark.parametrize("values", [{"only": 0.003}, {"a": 0.001, "b": 0.001}])
def test_rows_that_are_alike_are_drawn_too(values: dict[str, float]) -> None:
    low, high = plot(values).axes[0].get_xlim()
    assert 0 < low < min(values.values()) * 1e3 <= max(values.values()) * 1e3 < high
