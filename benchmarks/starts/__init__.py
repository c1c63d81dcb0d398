"""What is started in a fresh process, from nothing to a first answer. Each says on a pipe when it has it.

    interpreter.py Python, and nothing else
    floor.py       onnxruntime and tokenizers imported, and nothing done with them
    predictor.py   our predictor and its first answer, without a function around it
    naive.py       the Lambda handler that most people would write: transformers and torch
    traced.py      ours again, part by part
    stopwatch.py   seconds by part, each without the parts inside it

They import nothing more than they measure.
"""

import os
import time

PIPE = "BENCHMARK_PIPE"
STARTED = "BENCHMARK_STARTED"  # when the parent started it, on the clock that all processes share


def first_answer() -> None:
    """Say that it is there, and wait to be killed, though not for ever."""
    os.write(int(os.environ[PIPE]), b".")
    time.sleep(60)
