"""What no server of this model in Python goes below: its two libraries imported, nothing done with them."""

import onnxruntime  # noqa: F401
import tokenizers  # noqa: F401

from benchmarks.starts import first_answer

first_answer()
