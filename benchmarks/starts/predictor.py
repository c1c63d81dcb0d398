"""Our predictor from a directory on disk to its first answer: ``ARTIFACT TEXT``.

Without the garbage collector, as functions/predict/handler.py starts.
"""
# ruff: noqa: E402  the other imports run without the collector

import gc

gc.disable()

import sys
from pathlib import Path

from benchmarks.starts import first_answer
from slipway.loading import REPLAY_TOKENS, load_predictor

load_predictor(Path(sys.argv[1]), "int8", replay_tokens=REPLAY_TOKENS).predict([sys.argv[2]])
first_answer()
