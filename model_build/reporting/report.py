"""``report/report.html``, one file that needs no other, and its plots as ``report/*.png``; all from one value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_build.config import BuildConfig
from model_build.gates import Gate
from slipway.artifact import Task, Variant

REPORT = "report/report.html"

Points = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """What a card and a report are drawn from; everything was measured by one build.

    ``metrics`` is split → variant → name → value, ``speed`` variant → {"megabytes", "ms_alone", "ms_packed"}.
    ``quality`` is ``Quality.to_dict()`` of the variant in ``serve`` on the test split; ``baselines`` are dicts of name,
    accuracy, macro_f1 and interval. ``frontier`` are dicts of recipe, precision, dev_accuracy, test_accuracy, flips,
    batch_flips (shares of dev texts), ms, megabytes, chosen and allowed; ``constraint`` is what allowed them, and
    ``layer_cost`` are dicts of layers (kept) and dev_accuracy. ``cpu`` names the processor that timed;
    ``unmeasured`` are the classes of CPU on which int8 was not held against fp32 (``processor.unmeasured_classes``).
    A part that was not measured is empty.
    """

    config: BuildConfig
    config_path: str
    overrides: Sequence[str]
    code_revision: str
    labels: Sequence[str]
    task: Task
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]]
    quality: Mapping[str, Any]
    gates: Sequence[Gate]
    speed: Mapping[str, Mapping[str, float]]
    serve: Variant
    serve_reason: str
    cpu: str
    unmeasured: Sequence[str]
    temperature: float
    digest: str
    baselines: Points = ()
    frontier: Points = ()
    constraint: str = ""
    layer_cost: Points = ()

    @property
    def served(self) -> Mapping[str, float]:
        """Metrics on the test split of the variant that CPUs get."""
        return self.metrics["test"][self.serve]

    @property
    def why_served(self) -> str:
        """``serve_reason`` for where the variant was just named."""
        return self.serve_reason.removeprefix(f"{self.serve} is served: ")

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the served variant's test accuracy."""
        found = self.quality.get("intervals", {}).get("accuracy")
        return (found[0], found[1]) if found else None


def write_report(directory: Path, data: ReportData) -> None:
    """Write ``report/report.html`` and its PNGs into an artifact; equal data give equal bytes on one machine."""
    from model_build.reporting.figures import to_png, to_svg  # matplotlib and Jinja are for who writes a report
    from model_build.reporting.illustrations import draw_plots
    from model_build.reporting.page import render_page

    drawn = draw_plots(data)
    (directory / REPORT).parent.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        (directory / "report" / f"{name}.png").write_bytes(to_png(figure))
    page = render_page(data, {name: to_svg(figure) for name, figure in drawn.items()})
    (directory / REPORT).write_text(page, "utf-8")
