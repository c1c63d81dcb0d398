"""Our predictor from a directory on disk to its first answer: ``ARTIFACT TEXT``."""

import sys
from pathlib import Path

from benchmarks.starts import first_answer
from slipway.predictor import load_predictor

load_predictor(Path(sys.argv[1]), "int8").predict([sys.argv[2]])
first_answer()
