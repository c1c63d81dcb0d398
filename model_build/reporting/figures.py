"""The paper that plots are drawn on: size, colours, fonts, and how a figure becomes bytes that are always the same."""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator

from model_build.reporting.fonts import families_for

INK, MUTED, GRID = "#1f2a33", "#5b6770", "#d9dfe3"
# Okabe and Ito's palette, which the colour-blind can tell apart; instead of its yellow, faint on white, two more.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#777722")
_THEMED = {INK: "ink", MUTED: "muted", GRID: "grid"} | {color: f"c{i}" for i, color in enumerate(SERIES)}

STYLE: Any = {  # Any: matplotlib types each key
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "none",  # text stays text: it can be searched, and a browser has fonts for every script
    "svg.hashsalt": "slipway",
    "text.color": INK,
    "text.parse_math": False,  # a label may hold dollars
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
_PNG_DPI = 200


def canvas(height: float, *, width: float = 0, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure, in inches, with ``panels`` axes side by side; one alone fits the screen of a phone."""
    figure = Figure(figsize=(width or (5.6 if panels == 1 else 7.2), height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def to_png(figure: Figure) -> bytes:
    """The figure on white, at twice the size of a page."""
    with rc_context(STYLE), _any_script(figure):
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=_PNG_DPI, facecolor="white", metadata={"Software": None})
    return file.getvalue()


def to_svg(figure: Figure) -> str:
    """An ``<svg>`` element for a page: no background, and colours that the page's ``--ink``, ``--c0`` … may replace."""
    with rc_context(STYLE), _any_script(figure):
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r' id="[a-zA-Z.0-9]+_\d+"', "", svg)  # figure_1 is in every plot, and nothing refers to it
    colors = "|".join(_THEMED)
    return re.sub(rf"(?<=(?:fill|roke): )({colors})", lambda color: f"var(--{_THEMED[color[0]]}, {color[0]})", svg)


def shorten(label: str, length: int = 24) -> str:
    """A label as an axis has room for it, on one line.

    >>> shorten("a rather long name of a class", 12)
    'a rather lo…'
    """
    plain = "".join(c if c.isprintable() else " " for c in label)
    return plain if len(plain) <= length else f"{plain[: length - 1].rstrip()}…"


def name_rows(axes: Axes, names: Sequence[str], *, length: int = 24) -> None:
    """Horizontal rows, the first on top, each named at the left."""
    axes.set_yticks(range(len(names)), [shorten(name, length) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def note(axes: Axes, text: str, x: float, y: float, *, corner: bool = False) -> None:
    """A few words above a point, or above it to the right."""
    offset, side = ((5, 4), "left") if corner else ((0, 7), "center")
    axes.annotate(text, (x, y), offset, textcoords="offset points", ha=side, va="bottom", fontsize=9)


def note_beside(axes: Axes, text: str, row: int) -> None:
    """A few words at the right end of a row."""
    place: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points"}
    axes.annotate(text, (1, row), (6, 0), ha="left", va="center", fontsize=9, **place)


def in_percent(*scales: Axis) -> None:
    """Shares of 1 on these scales are written in hundredths, at round numbers."""
    for scale in scales:
        scale.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
        scale.set_major_formatter(FuncFormatter(lambda share, _: f"{round(100 * share, 3):g} %"))


def legend_above(axes: Axes) -> None:
    """The series' names in a row above the axes, where they cover nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2, handlelength=1.2)


@contextmanager
def _any_script(figure: Figure) -> Iterator[None]:
    """Fonts for every letter in the figure. A letter that no font here has is drawn as a box, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*Glyph \d+.*missing", category=UserWarning)
        if figure.get_layout_engine() is not None:
            _settle(figure)
        yield


def _settle(figure: Figure) -> None:
    """Lay the figure out once, with the fonts that it needs: every file that is made of it looks the same."""
    figure.draw_without_rendering()  # before that, axes have no tick labels
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    families = families_for(frozenset("".join(text.get_text() for text in texts)))
    if len(families) > 1:
        for text in texts:
            text.set_fontfamily(list(families))
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
