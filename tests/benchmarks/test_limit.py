"""Operations are counted from what ran, and a graph is never faster than its products."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.gemm import ROWS, integer_shapes, peak_sessions
from benchmarks.operators import account, summarize
from slipway.artifact import model_file

LAYERS, HIDDEN, INNER = 2, 32, 64  # of the tiny artifact


def test_operations_are_those_of_the_architecture(tiny_artifact: Path, tmp_path: Path) -> None:
    texts, tokens = 3, 10
    ids = np.full((texts, tokens), 7, np.int32)
    counted = account(tiny_artifact / model_file("fp32"), ids, tmp_path, repeats=2)
    rows = texts * tokens
    weights = LAYERS * 2 * rows * (4 * HIDDEN * HIDDEN + 2 * HIDDEN * INNER)
    attention = LAYERS * 2 * 2 * texts * tokens * tokens * HIDDEN
    assert counted.integer_operations == 0
    assert counted.float_operations - weights - attention == pytest.approx(0, abs=4 * texts * HIDDEN * (2 + tokens))
    assert counted.share(frozenset(counted.seconds)) == pytest.approx(1)
    assert list(tmp_path.iterdir()) == []


def test_int8_moves_operations_from_float_to_integer(tiny_artifact: Path, tmp_path: Path) -> None:
    ids = np.full((1, 8), 7, np.int32)
    fp32, int8 = (account(tiny_artifact / model_file(v), ids, tmp_path, repeats=1) for v in ("fp32", "int8"))
    assert int8.integer_operations > 0
    assert int8.integer_operations + int8.float_operations == pytest.approx(fp32.float_operations, rel=0.02)


def test_seconds_are_a_runs_and_not_those_of_all_runs() -> None:
    shapes = {"input_type_shape": [{"float": [2, 4]}], "output_type_shape": [{"float": [2, 3]}]}
    events = [{"dur": 10, "args": {"op_name": "MatMul", **shapes}}, {"dur": 4, "args": {"op_name": "Add"}}] * 5
    counted = summarize(events, runs=5, texts=2)
    assert counted.seconds == {"MatMul": pytest.approx(10e-6), "Add": pytest.approx(4e-6)}
    assert counted.float_operations == 48


def test_the_products_have_the_shapes_of_the_graph_and_both_precisions(tiny_artifact: Path) -> None:
    graph = tiny_artifact / model_file("int8")
    products = peak_sessions(graph)
    assert {product.shape for product in products} == set(integer_shapes(graph))
    assert len(products) == 2 * len(ROWS) * len(integer_shapes(graph))
    for product in products:
        (result,) = product.run()  # type: ignore[misc]
        assert result.shape == (product.rows, product.shape[1])
        assert product.operations == 2 * product.rows * product.shape[0] * product.shape[1]
