"""A panel as an inline SVG that follows the page's colours: lines, or bars on top of one another."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from model_build.operating.panels import Panel
from model_build.operating.readings import Series, Span

WIDTH, HEIGHT = 400, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 10, 22
COUNTED = ("requests", "texts", "starts")  # units of which there are no parts


def chart(panel: Panel, span: Span) -> str:
    """The drawing, whose series have the classes ``c0`` to ``c8`` in their order."""
    series = [[0.0 if math.isnan(v) else v for v in s] if panel.stacked else s for s in panel.series.values()]
    if panel.stacked:
        series = _stack(series)
    highest = max((v for s in series for v in s if not math.isnan(v)), default=0.0)
    top = panel.most or _round_up(highest if panel.unit not in COUNTED else max(3.0, highest))
    shapes = list(_bars(series, span, top) if panel.stacked else _lines(series, span, top))
    label = f"{panel.title}: {', '.join(panel.series)}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        + "".join([*_grid(top, 4 if panel.most else 3), *_hours(span), *shapes])
        + "</svg>"
    )


def short(value: float) -> str:
    """A number of an axis or a legend.

    >>> short(1234567), short(0.25), short(1500), short(float("nan"))
    ('1.23M', '0.25', '1,500', '-')
    """
    if math.isnan(value):
        return "-"
    for least, unit, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return f"{value / unit:.3g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"


def _stack(series: Sequence[Series]) -> list[Series]:
    """Each on top of those before it."""
    stacked: list[Series] = []
    for each in series:
        below = stacked[-1] if stacked else [0.0] * len(each)
        stacked.append([value + under for value, under in zip(each, below, strict=True)])
    return stacked


def _bars(stacked: Sequence[Series], span: Span, top: float) -> Iterator[str]:
    """The topmost first: the lower ones are drawn over it. Bars, since nothing is known between two steps."""
    width = (WIDTH - _LEFT - _RIGHT) / span.steps
    for number in reversed(range(len(stacked))):
        drawn = [
            f"M{_x(step, span) - width / 2:.1f},{HEIGHT - _BOTTOM}V{_y(value, top):.1f}h{width:.1f}V{HEIGHT - _BOTTOM}"
            for step, value in enumerate(stacked[number])
            if value > (stacked[number - 1][step] if number else 0)
        ]
        yield f'<path class="a c{number}" d="{"".join(drawn)}"/>' if drawn else ""


def _lines(series: Sequence[Series], span: Span, top: float) -> Iterator[str]:
    """Broken where nothing was measured; a point that stands alone is a dot."""
    for number, each in enumerate(series):
        for run in _runs(each):
            points = [f"{_x(i, span):.1f},{_y(each[i], top):.1f}" for i in run]
            if len(points) == 1:
                x, y = points[0].split(",")
                yield f'<circle class="d c{number}" cx="{x}" cy="{y}" r="2.2"/>'
            else:
                yield f'<polyline class="l c{number}" points="{" ".join(points)}"/>'


def _runs(series: Series) -> Iterator[list[int]]:
    run: list[int] = []
    for index, value in enumerate(series):
        if not math.isnan(value):
            run.append(index)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _grid(top: float, ticks: int) -> Iterator[str]:
    for tick in range(ticks + 1):
        value = top * tick / ticks
        y = _y(value, top)
        yield f'<line class="g" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>'


def _hours(span: Span) -> Iterator[str]:
    """The clock at the beginning, in the middle and at the end."""
    for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        at = span.start + part * (span.end - span.start)
        x = _LEFT + part * (WIDTH - _LEFT - _RIGHT)
        told = datetime.fromtimestamp(at).strftime("%H:%M" if span.end - span.start <= 86_400 else "%d %b %H:%M")
        yield f'<text x="{x:.1f}" y="{HEIGHT - 5}" text-anchor="{anchor}">{told}</text>'


def _x(step: int, span: Span) -> float:
    return _LEFT + (step + 0.5) / span.steps * (WIDTH - _LEFT - _RIGHT)


def _y(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - value / top * (HEIGHT - _BOTTOM - _TOP)


def _round_up(value: float) -> float:
    """The next number that three ticks divide well; 3 of nothing.

    >>> _round_up(0), _round_up(7.2), _round_up(0.98), _round_up(31)
    (3.0, 9.0, 1.2, 60.0)
    """
    if value <= 0:
        return 3.0
    unit: float = 10.0 ** math.floor(math.log10(value))
    for step in (1.2, 1.5, 3, 6, 9, 12):
        if value <= round(step * unit, 12):
            return float(round(step * unit, 12))
    return 15 * unit
