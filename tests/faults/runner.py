"""Rows to outcomes, one after the other: each begins with the store as it was."""

import io
import logging
import sys
import time
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path

from tests.faults.outcomes import Outcome, Row
from tests.faults.stage import staged

Found = tuple[Row, Outcome, float]


def run_all(rows: Iterable[Row], folder: Path) -> list[Found]:
    """Each row with what was found, and its seconds. A row that breaks nothing is an error."""
    found: list[Found] = []
    logging.getLogger("werkzeug").disabled = True
    with redirect_stdout(io.StringIO()), staged(folder) as stage:  # the functions print their metrics
        for row in rows:
            stage.begin()
            began = time.perf_counter()
            outcome = row.run(stage)
            found.append((row, outcome, time.perf_counter() - began))
            told = (
                f"{found[-1][2]:5.1f} s  lost {outcome.lost}  {row.where}: {row.what}: {outcome.sees}; {outcome.after}"
            )
            sys.stderr.write(told + "\n")
    return found
