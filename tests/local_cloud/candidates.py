"""Bad candidates, each made of a good artifact: what golden examples and checksums let through."""

import dataclasses
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from slipway.artifact import MANIFEST, describe_file, model_file, read_manifest
from slipway.loading import load_predictor

_LONG = 12  # tokens, from which the crashing candidate crashes; the golden examples that a load replays are shorter
_WIDTH = 128  # of the products that do nothing but take time
# How many times as long as the good one, at least. In a function every request has costs that are the same for both,
# and caches that others have emptied: of 2.7 times alone 1.5 were left on a fast processor, and that is the bound.
_SLOW = 10
Graph = onnx.GraphProto


def renamed(artifact: Path, into: Path) -> Path:
    """A good one: the same, built at another time."""
    return _changed(artifact, into, created="2026-01-01T00:00:00Z")


def swapped(artifact: Path, into: Path) -> Path:
    """The same network, whose labels have changed places: the golden examples hold probabilities, not names."""
    return _changed(artifact, into, labels=read_manifest(artifact).labels[::-1])


def crashing(artifact: Path, into: Path) -> Path:
    """The same answers for short texts; onnxruntime refuses to run longer ones."""

    def add(graph: Graph) -> None:
        graph.initializer.append(numpy_helper.from_array(np.zeros(_LONG, np.float32), "short"))
        graph.initializer.append(numpy_helper.from_array(np.array(1, np.int64), "one"))
        nodes = [
            helper.make_node("Shape", ["input_ids"], ["length"], start=1, end=2),
            helper.make_node("Sub", ["length", "one"], ["last"]),
            helper.make_node("Gather", ["short", "last"], ["zero"]),
        ]
        _add_to_logits(graph, nodes, "zero")

    return _changed(artifact, into, graph=add)


def slow(artifact: Path, into: Path, text: str) -> Path:
    """The same answers, after matrix products that take far longer than the rest, as measured here for ``text``."""
    enough, products = _SLOW * _milliseconds(artifact, text), 8
    while True:
        made = _changed(artifact, into / str(products), graph=_products(products))
        if _milliseconds(made, text) >= enough:
            return made
        products *= 2


def _products(count: int) -> Callable[[Graph], None]:
    def add(graph: Graph) -> None:
        square = np.eye(_WIDTH, dtype=np.float32)
        graph.initializer.append(numpy_helper.from_array(square, "square"))
        graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "nothing"))
        nodes = [
            helper.make_node("Cast", ["input_ids"], ["ids"], to=onnx.TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["ids"], ["sum"], keepdims=0),
            helper.make_node("Mul", ["square", "sum"], ["product0"]),
            *(helper.make_node("MatMul", [f"product{i}", "square"], [f"product{i + 1}"]) for i in range(count)),
            helper.make_node("ReduceMax", [f"product{count}"], ["largest"], keepdims=0),
            helper.make_node("Mul", ["largest", "nothing"], ["zero"]),
        ]
        _add_to_logits(graph, nodes, "zero")

    return add


def _add_to_logits(graph: Graph, nodes: list[onnx.NodeProto], zero: str) -> None:
    """Have the nodes run and their result, which is 0, added to what the graph gives."""
    name = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["answer" if output == name else output for output in node.output]
        node.input[:] = ["answer" if given == name else given for given in node.input]
    graph.node.extend([*nodes, helper.make_node("Add", ["answer", zero], [name])])


def _changed(artifact: Path, into: Path, *, graph: Callable[[Graph], None] | None = None, **fields: Any) -> Path:
    into.mkdir(parents=True)
    directory = Path(shutil.copytree(artifact, into / "artifact"))
    manifest = read_manifest(directory)
    name = model_file(manifest.serve)
    if graph:
        model = onnx.load(directory / name, load_external_data=False)
        graph(model.graph)
        onnx.save(model, directory / name)
    files = {**manifest.files, name: describe_file(directory / name)}
    changed = dataclasses.replace(manifest, version="", files=files, **fields)
    (directory / MANIFEST).write_bytes(changed.to_json())
    return directory


def _milliseconds(artifact: Path, text: str) -> float:
    """The quickest of many: what others on this machine do is not in it."""
    predictor = load_predictor(artifact)
    found = []
    for _ in range(200):
        started = time.perf_counter()
        predictor.predict([text])
        found.append((time.perf_counter() - started) * 1e3)
    return min(found)
