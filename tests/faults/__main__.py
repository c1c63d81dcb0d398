"""``python -m tests.faults > docs/faults.md``: runs every row, and writes what was seen."""

import sys
import tempfile
from pathlib import Path

from tests.faults.document import document
from tests.faults.matrix import ROWS
from tests.faults.runner import run_all

wanted = sys.argv[1:]
rows = [row for row in ROWS if not wanted or any(word in f"{row.where}: {row.what}" for word in wanted)]
with tempfile.TemporaryDirectory() as folder:
    found = run_all(rows, Path(folder))
sys.stdout.write(document(found))
sys.exit(any(outcome.lost for _, outcome, _ in found))
