"""From the start of a process to its first answer: ours in whole and by part, the naive Lambda, and the floor."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import cold_imports, model_bucket
from benchmarks.events import HANDLER, function_environment, predict_event
from benchmarks.measure import Measure, Rounds, Sample, middle, ratio, spread, take_turns
from benchmarks.options import Options
from benchmarks.peers.worker import environment
from benchmarks.starter import Start, Starter
from benchmarks.starts.traced import PARTS
from benchmarks.tables import Measured, Table, milliseconds, times
from slipway.artifact import read_manifest

_FLOOR = "floor: onnxruntime and tokenizers imported"
_NAIVE = "naive Lambda: transformers and torch"
_UNCHECKED, _PREDICTOR, _FUNCTION = "libraries alone, {}", "predictor alone, {}", "whole function, {}"
_TRACED = "benchmarks.starts.traced"
_LAYERS = "6 layers"

Parts = list[dict[str, list[float]]]


def measure(options: Options) -> Measured:
    """Three tables: whole starts, the parts of ours, and what the function's imports cost."""
    folder = options.folder("cold-start")
    artifacts = {_LAYERS: options.artifact} | ({"3 layers distilled": options.small} if options.small else {})
    starter = Starter(options.folder("logs") / "start.log")
    with model_bucket.serving(folder / "s3") as s3:
        functions = {name: _function(name, artifact, folder / "s3", s3) for name, artifact in artifacts.items()}
        parts: dict[str, Parts] = {_PREDICTOR: [], _FUNCTION: []}
        rows = _rows(starter, artifacts, functions, options) | _traced(starter, functions, options, parts)
        rounds = options.count(9, 1)
        found = take_turns(rows, rounds=rounds, progress=options.progress)
        options.progress("imports")
        imports = cold_imports.table(starter, functions[_LAYERS], options.count(5, 1))
    totals = {name: found.pop(f"{name}, traced") for name in parts}
    tables = [_whole(found, rounds), _by_part(totals, parts), imports]
    return Measured(tables, {name: middle(measured) for name, measured in found.items()})


def _function(name: str, artifact: Path, folder: Path, s3: str) -> Start:
    """The predict function as awslambdaric runs it, with a model store of its own."""
    bucket = name.replace(" ", "-")
    model = model_bucket.fill(folder, bucket, artifact)
    event = predict_event(model, [_text(artifact)])
    variables = function_environment(model, bucket, s3)
    return Start(module="awslambdaric", arguments=[HANDLER], environment=variables, event=event)


def _text(artifact: Path) -> str:
    return read_manifest(artifact).golden[0].text


def _rows(
    starter: Starter, artifacts: Mapping[str, Path], functions: Mapping[str, Start], options: Options
) -> dict[str, Measure]:
    bare = environment()
    naive = Start(
        module="awslambdaric",
        arguments=["benchmarks.starts.naive.handler"],
        environment={**functions[_LAYERS].environment, "NAIVE_MODEL": str(options.base)},
        event=functions[_LAYERS].event,
    )
    starts = {
        "Python alone": Start(module="benchmarks.starts.interpreter", environment=bare),
        _FLOOR: Start(module="benchmarks.starts.floor", environment=bare),
    }
    for name, artifact in artifacts.items():
        arguments = [str(artifact), _text(artifact)]
        for row, module in ((_UNCHECKED, "unchecked"), (_PREDICTOR, "predictor")):
            starts[row.format(name)] = Start(
                module=f"benchmarks.starts.{module}", arguments=arguments, environment=bare
            )
    starts |= {_FUNCTION.format(name): function for name, function in functions.items()}
    starts[_NAIVE] = naive
    return {name: partial(_once, starter, start) for name, start in starts.items()}


def _once(starter: Starter, start: Start) -> list[Sample]:
    return [starter(start)]


def _traced(
    starter: Starter, functions: Mapping[str, Start], options: Options, parts: dict[str, Parts]
) -> dict[str, Measure]:
    """The same two starts with a stopwatch in them."""
    result = options.folder("cold-start") / "parts.json"
    function = functions[_LAYERS]
    arguments = ["predictor", str(result), str(options.artifact), _text(options.artifact)]
    starts = {
        _PREDICTOR: Start(module=_TRACED, arguments=arguments, environment=environment()),
        _FUNCTION: Start(
            module=_TRACED,
            arguments=["function", str(result)],
            environment=function.environment,
            event=function.event,
        ),
    }

    def once(name: str) -> list[Sample]:
        sample = starter(starts[name])
        parts[name].append(json.loads(result.read_text()))
        return [sample]

    return {f"{name}, traced": partial(once, name) for name in starts}


def _whole(found: Mapping[str, Rounds], rounds: int) -> Table:
    function = _FUNCTION.format(_LAYERS)
    rows = []
    for name, measured in found.items():
        lowest, highest = spread(measured)
        quotients = [
            times(ratio(measured, found[base], cpu=cpu)) for base in (_FLOOR, function) for cpu in (True, False)
        ]
        cpu, wall = milliseconds(middle(measured, cpu=True)), milliseconds(middle(measured))
        rows.append([name, cpu, wall, f"{milliseconds(lowest)} to {milliseconds(highest)}", *quotients])
    return Table(
        title="(b) Cold start: from the process's start to its first answer",
        reading="Milliseconds of the processor and on the clock until the first answer of a fresh process has arrived, "
        f"files in the page cache, bytecode compiled; medians of {rounds} starts that take turns; lower is better.",
        head=["", "CPU", "wall", "wall, from to", "CPU / floor", "wall / floor", "CPU / function", "wall / function"],
        rows=rows,
        notes=[
            "The libraries alone open our files and answer a text: no checksum, no golden example, no import of ours.",
            "The whole function is functions/predict under awslambdaric, driven by a server of the Lambda Runtime "
            "API; it imports Powertools and reads the pointer and the model by HTTP from an S3 server in another "
            "process. The naive Lambda runs under awslambdaric too and has its model on disk.",
            "Every start has OPENBLAS_NUM_THREADS=1, which our image sets, and OMP_NUM_THREADS=1: the floor would be "
            "higher without.",
            "Ours start without the garbage collector, which has nothing to find then; the floor and the naive Lambda "
            "start as Python does by default.",
        ],
    )


def _by_part(totals: Mapping[str, Rounds], parts: Mapping[str, Parts]) -> Table:
    names = {_PREDICTOR: "predictor", _FUNCTION: "function"}
    rows = []
    for part in PARTS:
        cells = [_median(parts[kind], part, index) for kind in names for index in (1, 0)]
        if any(cells):
            rows.append([part, *map(milliseconds, cells)])
    known = [sum(_median(parts[kind], part, index) for part in PARTS) for kind in names for index in (1, 0)]
    whole = [middle(totals[kind], cpu=cpu) for kind in names for cpu in (True, False)]
    rest = [max(0.0, all_ - part) for all_, part in zip(whole, known, strict=True)]
    rows.append(["the rest: runtime client, process", *map(milliseconds, rest)])
    rows.append(["together", *map(milliseconds, whole)])
    return Table(
        title="(b) Cold start by part, 6 layers",
        reading="Milliseconds of each part, without what other parts inside it took; medians of starts with a "
        "stopwatch, which took turns with those above.",
        head=["", *(f"{name}, {clock}" for name in names.values() for clock in ("CPU", "wall"))],
        rows=rows,
        notes=[
            "The function reads the store while it imports the predictor, which here is imported before: parts overlap "
            "less. What obstore's own threads take is in the rest.",
        ],
    )


def _median(parts: Parts, part: str, index: int) -> float:
    """Of the starts that count: the first one warmed up."""
    return median(each.get(part, [0.0, 0.0])[index] for each in parts[1:])
