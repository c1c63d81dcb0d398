"""What the numbers of a build mean: the sentences and warnings that the card and the report share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_build.gates import Gate

if TYPE_CHECKING:
    from model_build.reporting.report import ReportData

_FEW_TEXTS = 400  # ± 4 points at an accuracy of 0.8
_FEW_OF_A_LABEL = 20
_LOW_F1 = 0.5
_LARGE_CALIBRATION_ERROR = 0.05
_LARGE_DROP = 0.05
_CONFLICTS = 0.01


@dataclass(frozen=True)
class Caution:
    """One thing to know before trusting the model; ``section`` of the report has the numbers."""

    text: str
    section: str


def compared(data: "ReportData") -> list[dict[str, Any]]:
    """The baselines and, last, the served variant: name, accuracy, macro_f1 and interval (or None)."""
    own = {
        "name": f"this model ({data.serve})",
        "accuracy": data.served["accuracy"],
        "macro_f1": data.served.get("macro_f1"),
        "interval": data.interval,
    }
    return [*({"interval": None, "macro_f1": None, **row} for row in data.baselines), own]


def speedup(data: "ReportData") -> float | None:
    """How many times as fast as fp32 int8 answers a text alone; None where one of them was not timed."""
    fp32, int8 = (data.speed.get(variant, {}).get("ms_alone") for variant in ("fp32", "int8"))
    return fp32 / int8 if fp32 and int8 else None


def passed(gate: Gate) -> str:
    """In a word; an advisory gate refuses nothing, and says so.

    >>> passed(Gate(name="speed", value=1.1, bound=1.3, least=True, advisory=True))
    'no (advisory)'
    """
    return "yes" if gate.passed else "no (advisory)" if gate.advisory else "no"


def least_accuracy(data: "ReportData") -> float | None:
    """The dev accuracy that ``constraint`` asks of a point: that of the full fp32 network less the allowed points."""
    full = [p["dev_accuracy"] for p in data.frontier if (p["recipe"], p["precision"]) == ("full", "fp32")]
    _, found, points = data.constraint.partition("<=")
    return full[0] - float(points) / 100 if full and found else None


def overall(data: "ReportData") -> float:
    """Accuracy on the whole test split."""
    return float(data.quality.get("summary", {}).get("accuracy") or data.served["accuracy"])


def damaged(data: "ReportData") -> tuple[float, list[Mapping[str, Any]]]:
    """Accuracy of the texts that robustness was measured on as they are, and the rows of the changes to them."""
    rows = data.quality.get("robustness") or []
    unchanged = [row["accuracy"] for row in rows if row["change"] == "none"]
    return (unchanged or [overall(data)])[0], [row for row in rows if row["change"] != "none"]


def cautions(data: "ReportData") -> list[Caution]:
    """What a person should not have to find out, the gravest first."""
    return [*_of_worth(data), *_of_serving(data), *_of_labels(data), *_of_behaviour(data), *_of_data(data)]


def _of_worth(data: "ReportData") -> Iterator[Caution]:
    best = max(data.baselines, key=lambda row: row["accuracy"], default=None)
    floor = data.interval[0] if data.interval else data.served["accuracy"]
    if best and best["accuracy"] >= floor:
        text = f"Not proven better than the baseline {best['name']} ({_percent(best['accuracy'])}):"
        yield Caution(f"{text} that is inside the model's 95 % interval.", "quality")
    texts = data.quality.get("texts") or data.data.get("splits", {}).get("test", 0)
    if texts < _FEW_TEXTS:
        yield Caution(f"Only {texts} test texts: every number here moves by points from split to split.", "quality")
    if failed := [gate.name for gate in data.gates if not (gate.passed or gate.advisory)]:
        yield Caution(f"Gates that did not pass: {'; '.join(failed)}.", "gates")


def _of_serving(data: "ReportData") -> Iterator[Caution]:
    if data.serve == "fp32":
        yield Caution(f"fp32 ships, not int8: {data.why_served}", "speed")
    if data.serve == "int8" and data.unmeasured:
        text = f"int8 was not measured on CPUs with {_some(data.unmeasured)}"
        yield Caution(f"{text}: serve it on others, or add to gates.cpu_classes.", "gates")
    if data.frontier and not any(point["allowed"] for point in data.frontier):
        yield Caution(f"No compressed network met {data.constraint}.", "frontier")


def _of_labels(data: "ReportData") -> Iterator[Caution]:
    rows = data.quality.get("classes", [])
    weak = [f"{row['label']} (F1 {row['f1'] or 0:.2f})" for row in rows if row["texts"] and (row["f1"] or 0) < _LOW_F1]
    if weak:
        yield Caution(f"Labels it is more often wrong than right about: {_some(weak)}.", "classes")
    if rare := [f"{row['label']} ({row['texts']})" for row in rows if row["texts"] < _FEW_OF_A_LABEL]:
        yield Caution(f"Labels with too few test texts to judge: {_some(rare)}.", "classes")


def _of_behaviour(data: "ReportData") -> Iterator[Caution]:
    off = data.quality.get("calibration", {}).get("after", {}).get("error") or 0
    if off > _LARGE_CALIBRATION_ERROR:
        yield Caution(
            f"Scores are off by {_percent(off)} on average: rank with them, do not bet on them.", "calibration"
        )
    rows = data.quality.get("slices", [])
    worse = [f"{r['column']} {r['value']} ({_percent(r['accuracy'])})" for r in rows if is_worse(r, overall(data))]
    if worse:
        yield Caution(f"Worse than on the whole: {_some(worse)}.", "slices")
    unchanged, rows = damaged(data)
    lost = [(row["change"], row["accuracy"] - unchanged) for row in rows]
    if weak := [f"{change} ({100 * by:+.1f} points)" for change, by in lost if by < -_LARGE_DROP]:
        yield Caution(f"Loses more than {100 * _LARGE_DROP:.0f} points: {_some(weak)}.", "robustness")


def is_worse(part: Mapping[str, Any], whole: float) -> bool:
    """Whether the whole interval of a slice lies below the accuracy of all."""
    return bool(part.get("interval")) and bool(part["interval"][1] < whole)


def _of_data(data: "ReportData") -> Iterator[Caution]:
    near = data.data.get("findings", {}).get("near_duplicates", {})
    leaking = near.get("training_texts", 0)
    if leaking and data.config.data.near_duplicates == "report":  # counted before any is dropped
        text = f"Training texts with a near-duplicate in dev or test: {leaking}. They flatter the numbers;"
        yield Caution(f'{text} near_duplicates = "drop" leaves them out.', "data")
    conflicts = sum(n for reason, n in data.data.get("dropped", {}).items() if "conflict" in reason)
    if conflicts > _CONFLICTS * data.data.get("rows", 0):
        yield Caution(f"Rows whose text had several labels: {conflicts}. People did not agree.", "data")
    if suspects := data.data.get("suspects"):
        yield Caution(f"Labels of the data that look wrong: {len(suspects)}. Read them and build again.", "suspects")
    if data.code_revision.endswith("+"):
        yield Caution("Built from code that is not committed: nobody else can repeat it.", "reproduce")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _some(items: Sequence[str], most: int = 5) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return f"{', '.join(items[:most])}{more}"
