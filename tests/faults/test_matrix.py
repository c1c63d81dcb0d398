"""The whole matrix, run: nothing is lost in any row, and docs/faults.md lists these very faults."""

import re
from pathlib import Path

import pytest

from tests.faults.document import around
from tests.faults.matrix import ROWS
from tests.faults.runner import run_all
from tests.faults.stage import Seen

PAGE = (Path(__file__).parents[2] / "docs/faults.md").read_text("utf-8")


@pytest.mark.slow
def test_nothing_is_lost_whatever_breaks(tmp_path: Path) -> None:
    lost = {f"{row.where}: {row.what}": outcome for row, outcome, _ in run_all(ROWS, tmp_path) if outcome.lost}
    assert lost == {}


def test_the_page_lists_the_faults_that_are_run() -> None:
    listed = re.findall(r"^\| ([\w ]+) \| (.+?) \| .* \| (\d+) \|$", PAGE, re.MULTILINE)
    assert listed == [(row.where, row.what, "0") for row in ROWS]
    assert len(ROWS) >= 30
    before, behind = around()
    assert PAGE.startswith(before)
    assert PAGE.endswith(behind)


@pytest.mark.parametrize(
    ("seen", "lost"),
    [
        (Seen(200, 0.1, {"predictions": [{"label": "positive"}, {"label": "negative"}]}), False),
        (Seen(200, 0.1, {"predictions": [{"label": "negative"}, {"label": "positive"}]}), True),
        (Seen(200, 30.0, {"predictions": [{"label": "positive"}, {"label": "negative"}]}), True),
        (Seen(503, 0.1, {"remedy": "Try again."}), False),
        (Seen(503, 0.1, {}), True),
        (Seen(500, 0.1, {"remedy": "Look at the log."}), True),
    ],
)
def test_an_answer_that_is_wrong_late_or_says_nothing_counts_as_lost(seen: Seen, lost: bool) -> None:
    assert seen.lost is lost
