"""What runs inside the emulator: ``python -m model_build.cpu_classes.emulated GRAPH PAD_ID ROWS.npz LOGITS.npy``."""

import os
import sys
from pathlib import Path

import numpy as np

from slipway.network import Network


def main(graph: str, pad_id: str, given: str, found: str) -> None:
    """Write the logits of the rows in ``given`` to ``found``."""
    with np.load(given) as archive:
        rows = [archive[name] for name in archive.files]
    network = Network(Path(graph), pad_id=int(pad_id), threads=os.cpu_count() or 1)
    np.save(found, network.logits(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
