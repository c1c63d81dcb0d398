"""The report: one file that needs no other, its plots beside it, and the same bytes for the same numbers."""

import re
from pathlib import Path

import pytest

from model_build.reporting.illustrations import draw_plots
from model_build.reporting.report import REPORT, write_report
from tests.model_build.reporting.test_page import Page, hostile_sample
from tests.model_build.samples import sample


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("artifact")
    write_report(directory, sample())
    return directory


def test_every_plot_is_in_the_page_and_beside_it(directory: Path) -> None:
    names = {path.stem for path in directory.glob("report/*.png")}
    assert names == set(draw_plots(sample()))
    assert Page((directory / REPORT).read_text("utf-8")).tags.count("svg") == len(names)


def test_nothing_is_fetched_and_nothing_runs(directory: Path) -> None:
    html = (directory / REPORT).read_text("utf-8")
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "image"} & set(page.tags)
    outward = [v for name, v in page.attributes if name in {"src", "href", "xlink:href"} and not v.startswith("#")]
    assert outward == []
    assert not re.search(r"url\((?!#)|@import", html)
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_ids_are_there_once_and_links_lead_to_them(directory: Path) -> None:
    """Clip paths and markers of plots are named by what they are: equal names are equal things."""
    page = Page((directory / REPORT).read_text("utf-8"))
    ids = [value for name, value in page.attributes if name == "id" and not re.fullmatch(r"[mp][0-9a-f]{10,}", value)]
    assert len(ids) == len(set(ids))
    links = [value for name, value in page.attributes if name == "href"]
    assert links
    assert {link[1:] for link in links} <= set(ids)


def test_equal_data_give_equal_bytes(directory: Path, tmp_path: Path) -> None:
    write_report(tmp_path, sample())
    for path in sorted((directory / "report").iterdir()):
        assert path.read_bytes() == (tmp_path / "report" / path.name).read_bytes(), path.name


def test_hostile_labels_stay_text_in_plots_too(tmp_path: Path) -> None:
    write_report(tmp_path, hostile_sample())
    page = Page((tmp_path / REPORT).read_text("utf-8"))
    assert page.tags.count("svg") >= 8
    assert not {"script", "img"} & set(page.tags)
    assert page.open == []
