"""Figures as bytes: the same for the same figure, whatever their labels hold."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from model_build.reporting.figures import STYLE, canvas, name_rows, shorten, to_png, to_svg

SVG = "{http://www.w3.org/2000/svg}"


@rc_context(STYLE)
def bars(*labels: str) -> Figure:
    figure, (axes,) = canvas(2.0)
    axes.barh(range(len(labels)), [1] * len(labels), color="#0072b2")
    name_rows(axes, labels)
    return figure


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("write", [to_png, to_svg])
def test_equal_figures_are_equal_bytes(write: Callable[[Figure], bytes | str]) -> None:
    assert write(bars("no", "yes")) == write(bars("no", "yes"))


def test_a_png_tells_neither_program_nor_date() -> None:
    png = to_png(bars("no", "yes"))
    assert png.startswith(b"\x89PNG")
    assert b"matplotlib" not in png.lower()
    assert b"tEXt" not in png


def test_an_svg_is_an_element_without_date_background_or_repeated_ids() -> None:
    svg = to_svg(bars("no", "yes"))
    assert svg.startswith("<svg")
    assert "<metadata>" not in svg
    assert "#ffffff" not in svg
    assert not re.search(r' id="[a-z]+_\d+"', svg)


def test_a_page_may_replace_the_colours() -> None:
    svg = to_svg(bars("no", "yes"))
    assert "fill: var(--c0, #0072b2)" in svg
    assert re.search(r"(?<!, )#1f2a33", svg) is None


@pytest.mark.parametrize(
    "label", ["<script>alert(1)</script>", "a & b", '" onload="x', "$5 or $6^", r"\frac{", "%s {0}"]
)
def test_a_label_is_text_and_nothing_else(label: str) -> None:
    svg = to_svg(bars(label, "other"))
    assert shorten(label) in texts(svg)
    assert "<script" not in svg


@pytest.mark.parametrize(
    "label", ["好评", "とても良い", "매우 좋음", "ممتاز", "अच्छा", "ดีมาก", "👩🏽‍🚀", "\ue123", "a\nb\tc", "\x00\x1b"]
)
def test_a_label_in_any_script_is_drawn_without_a_warning(label: str) -> None:
    """Warnings are errors here. Chromium writes what the page's SVG keeps as text."""
    assert to_png(bars(label, "other"))
    assert shorten(label) in texts(to_svg(bars(label, "other")))


def test_a_long_label_is_cut_and_says_so() -> None:
    assert shorten("x" * 50, 10) == "x" * 9 + "…"
    assert shorten("x" * 10, 10) == "x" * 10
