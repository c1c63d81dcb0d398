"""The least that answers a text: our files, opened as the two libraries do by themselves: ``ARTIFACT TEXT``.

What our predictor does beyond it is verify: checksums, golden examples, the manifest.
"""
# ruff: noqa: E402  as in predictor.py

import gc

gc.disable()

import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

from benchmarks.starts import first_answer

artifact, text = Path(sys.argv[1]), sys.argv[2]
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
options.intra_op_num_threads = 1
options.enable_mem_reuse = False
options.log_severity_level = 3
tokenizer = Tokenizer.from_file(str(artifact / "tokenizer.json"))
session = ort.InferenceSession(str(artifact / "model.int8.onnx"), options, providers=["CPUExecutionProvider"])
session.run(["logits"], {"input_ids": np.array([tokenizer.encode(text).ids], np.int32)})
first_answer()
