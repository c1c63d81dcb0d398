"""What a graph spends its time in, by type of operator, and how many operations its products have, as it ran."""

import json
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import onnxruntime as ort

from slipway.encoding import TokenIds

INTEGER_PRODUCTS = frozenset({"MatMulIntegerToFloat", "MatMulInteger", "DynamicQuantizeMatMul", "QLinearMatMul"})
FLOAT_PRODUCTS = frozenset({"MatMul", "FusedMatMul", "Gemm"})


@dataclass(frozen=True)
class Account:
    """Of one run: seconds by type of operator, and operations in products; a multiplication and an addition are two."""

    texts: int
    seconds: Mapping[str, float]
    integer_operations: float
    float_operations: float

    def share(self, operators: Set[str]) -> float:
        """The part of all operators' seconds that these take."""
        return sum(self.seconds.get(name, 0.0) for name in operators) / sum(self.seconds.values())


def account(graph: Path, ids: TokenIds, folder: Path, repeats: int) -> Account:
    """Run ``graph`` on ``ids`` under onnxruntime's profiler: ``repeats`` times, after one run that warms up."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    for _ in range(repeats + 1):
        session.run(["logits"], {"input_ids": ids})
    written = Path(session.end_profiling())
    events = [event for event in json.loads(written.read_text()) if _is_kernel(event)]
    written.unlink()
    counted = events[len(events) // (repeats + 1) :]
    return summarize(counted, repeats, texts=len(ids))


def summarize(events: list[dict[str, Any]], runs: int, *, texts: int) -> Account:
    """Events of the kernels of ``runs`` runs, all alike, to seconds (of each node the median) and operations of one."""
    seconds: Counter[str] = Counter()
    operations: Counter[bool] = Counter()
    nodes = len(events) // runs
    for index, event in enumerate(events[:nodes]):
        operator = event["args"]["op_name"]
        seconds[operator] += median(each["dur"] for each in events[index::nodes]) / 1e6
        if operator in INTEGER_PRODUCTS | FLOAT_PRODUCTS:
            operations[operator in INTEGER_PRODUCTS] += product_operations(event["args"])
    return Account(texts, seconds, operations[True], operations[False])


def product_operations(arguments: Mapping[str, Any]) -> int:
    """Two for each element of the result and of the left side's row.

    >>> product_operations({"input_type_shape": [{"float": [4, 384]}], "output_type_shape": [{"float": [4, 8]}]})
    24576
    """
    (left,) = arguments["input_type_shape"][0].values()
    (result,) = arguments["output_type_shape"][0].values()
    return 2 * int(prod(result)) * int(left[-1])


def _is_kernel(event: Mapping[str, Any]) -> bool:
    return event.get("cat") == "Node" and str(event.get("name", "")).endswith("_kernel_time")
