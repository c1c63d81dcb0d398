"""Which plots a report has: every one that there are numbers for, by the name of its PNG."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from model_build.reporting import plots, quality_plots, verdict
from model_build.reporting.frontier_plot import frontier

if TYPE_CHECKING:
    from model_build.reporting.report import ReportData

Named = Iterator[tuple[str, Figure]]


def draw_plots(data: "ReportData") -> dict[str, Figure]:
    """All of them, in the order of the page."""
    return dict([*_of_data(data), *_of_quality(data), *_of_behaviour(data)])


def _of_data(data: "ReportData") -> Named:
    if data.baselines:
        yield "comparison", plots.comparison(verdict.compared(data))
    findings = data.data.get("findings", {})
    if balance := data.data.get("class_balance") or findings.get("balance"):
        yield "class-balance", plots.class_balance(balance)
    if lengths := _length_deciles(findings.get("lengths") or {}):
        yield "lengths", plots.lengths(lengths)
    if history := data.training.get("history"):
        yield "training", plots.training_curve(history)


def _of_quality(data: "ReportData") -> Named:
    quality = data.quality
    if quality.get("confusion") and len(data.labels) <= quality_plots.MATRIX_LABELS:
        yield "confusion", quality_plots.confusion(quality["confusion"], data.labels)
    elif quality.get("confused"):
        yield "confusion", quality_plots.confused_pairs(quality["confused"])
    if curves := quality.get("curves"):
        yield "curves", quality_plots.curves(curves.get("labels", []), curves.get("micro", {}))
    calibration = quality.get("calibration") or {}
    if calibration.get("before") and calibration.get("after"):
        yield "reliability", quality_plots.reliability(calibration["before"], calibration["after"])


def _of_behaviour(data: "ReportData") -> Named:
    if selective := data.quality.get("selective"):
        yield "selective", quality_plots.selective(selective)
    if slices := data.quality.get("slices"):
        yield "slices", quality_plots.slices(slices, verdict.overall(data))
    unchanged, changed = verdict.damaged(data)
    if changed:
        yield "robustness", quality_plots.robustness(changed, unchanged)
    if data.frontier:
        yield "frontier", frontier(data.frontier, verdict.least_accuracy(data))


def _length_deciles(lengths: Mapping[str, Any]) -> Sequence[float]:
    """All eleven, from the shortest text to the longest."""
    return [lengths["shortest"], *lengths["deciles"], lengths["longest"]] if lengths else []
