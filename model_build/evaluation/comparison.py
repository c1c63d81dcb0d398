"""What ``slipway compare`` found, for a person and for a program."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SHOWN = 30  # flips and labels in the text; the rest is in the JSON
_TEXT = 100  # characters
_LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Side:
    """One artifact; its milliseconds a text are from its manifest, so from the machine that built it."""

    path: str
    model: str
    version: str
    variant: str
    accuracy: float
    macro_f1: float
    megabytes: float
    ms_alone: float | None
    ms_packed: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """B against A on ``texts`` of one split.

    ``difference`` is B's accuracy less A's, ``interval`` its 95 % bootstrap interval; ``only_a`` and ``only_b`` are the
    texts that one alone has right, ``p_exact`` and ``p_mid`` McNemar's test of them. ``classes`` hold F1 by label,
    ``flipped`` counts the texts answered differently by kind, ``flips`` lists the first 500.
    """

    split: str
    texts: int
    a: Side
    b: Side
    difference: float
    interval: list[float]
    only_a: int
    only_b: int
    p_exact: float
    p_mid: float
    classes: list[dict[str, Any]]
    flipped: dict[str, int]
    flips: list[dict[str, Any]]
    warnings: list[str]

    @property
    def verdict(self) -> str:
        """In words, at the 5 % level of the exact test."""
        if self.p_exact >= _LEVEL:
            return "no difference in accuracy is proven"
        return f"{'B' if self.difference > 0 else 'A'} is better"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"verdict": self.verdict}

    def render_text(self) -> str:
        """Markdown that also reads well in a terminal."""
        return "\n".join([*self._head(), *self._sides(), *self._test(), *self._classes(), *self._flips()])

    def _head(self) -> Iterator[str]:
        yield f"# B against A on {self.texts:,} texts of the split {self.split}: {self.verdict}\n"
        yield from (f"**Mind:** {warning}\n" for warning in self.warnings)
        yield f"- A: {self.a.model} {self.a.version}, {self.a.variant}, {self.a.path}"
        yield f"- B: {self.b.model} {self.b.version}, {self.b.variant}, {self.b.path}\n"

    def _sides(self) -> list[str]:
        names = {
            "accuracy": "accuracy",
            "macro_f1": "macro F1",
            "megabytes": "MB to serve",
            "ms_alone": "ms a text, alone",
            "ms_packed": "ms a text, packed",
        }
        rows = [[title, *_change(getattr(self.a, name), getattr(self.b, name))] for name, title in names.items()]
        return _table(["", "A", "B", "change"], rows)

    def _test(self) -> Iterator[str]:
        low, high = (100 * bound for bound in self.interval)
        points = f"{100 * self.difference:+.2f} points of accuracy, 95 % interval {low:+.2f} to {high:+.2f}"
        yield f"\n{points}. {self.only_a} texts only A has right, {self.only_b} only B:"
        yield f"McNemar's exact test p = {self.p_exact:.4g} (mid-p {self.p_mid:.4g}).\n"

    def _classes(self) -> list[str]:
        rows = [[row["label"], f"{row['texts']:,}", *_change(row["a"], row["b"])] for row in self.classes[:SHOWN]]
        return [*_table(["label", "texts", "F1 of A", "F1 of B", "change"], rows), *_rest(len(self.classes))]

    def _flips(self) -> Iterator[str]:
        total = sum(self.flipped.values())
        yield f"\n{total:,} texts answered differently: " + ", ".join(f"{n} {kind}" for kind, n in self.flipped.items())
        if total:
            rows = [[f["kind"], f["given"], f["a"], f["b"], _cut(f["text"])] for f in self.flips[:SHOWN]]
            yield from ["", *_table(["", "given", "A", "B", "text"], rows), *_rest(total)]


def _change(a: float | None, b: float | None) -> list[str]:
    if a is None or b is None:
        return [*("-" if value is None else f"{value:.4g}" for value in (a, b)), "-"]
    return [f"{a:.4g}", f"{b:.4g}", f"{b - a:+.4f}"]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines]


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"


def _rest(total: int) -> list[str]:
    return [f"\n… and {total - SHOWN:,} more; --json lists up to 500"] if total > SHOWN else []
