"""The physical limit: the products a text needs over what one core here does at most, how near we are, and the rest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.gemm import Product, peak_sessions
from benchmarks.measure import Measure, Rounds, Sample, middle, take_turns, timed
from benchmarks.operators import FLOAT_PRODUCTS, INTEGER_PRODUCTS, Account, account
from benchmarks.options import Options
from benchmarks.tables import Measured, Table, milliseconds, times
from benchmarks.texts import Texts
from slipway.artifact import TOKENIZER, model_file, read_manifest
from slipway.encoding import Encoder, TokenIds
from slipway.network import open_session

_BATCHES = ((1, 32), (1, 128), (16, 32))  # texts, tokens; the last is a pack as the predictor makes them
_REPEATS = 20
_SHOWN_OPERATORS = 12


@dataclass(frozen=True)
class Case:
    """A network and a batch for it."""

    name: str
    graph: Path
    ids: TokenIds

    @property
    def texts(self) -> int:
        return len(self.ids)


def measure(options: Options) -> Measured:
    """Three tables: the peaks, our distance from the limit, and where the distance goes."""
    cases = _cases(options)
    products = peak_sessions(options.artifact / model_file("int8"))
    repeats = options.count(_REPEATS, 2)
    rows: dict[str, Measure] = {product.name: partial(_repeat, product.run, repeats) for product in products}
    for case in cases:
        session = open_session(case.graph)
        rows[case.name] = partial(_repeat, partial(session.run, ["logits"], {"input_ids": case.ids}), repeats)
    found = take_turns(rows, rounds=options.rounds, progress=options.progress)
    options.progress("profiling")
    accounts = {case.name: account(case.graph, case.ids, options.folder("limit"), repeats) for case in cases}
    peaks = {kind: _peak(products, found, kind) for kind in ("int8", "fp32")}
    tables = [_peak_table(products, found, options.rounds), _limit_table(cases, found, accounts, peaks)]
    tables.append(_account_table(cases, accounts))
    return Measured(tables, {f"{kind} operations per second": peak for kind, peak in peaks.items()})


def _cases(options: Options) -> list[Case]:
    cases = []
    models = {"6 layers": options.artifact} | ({"3 layers": options.small} if options.small else {})
    for name, artifact in models.items():
        graph = artifact / model_file("int8")
        for texts, tokens in _BATCHES:
            ids = _ids(artifact, texts, tokens)
            cases.append(Case(f"{name}, {texts} x {ids.shape[1]} tokens", graph, ids))
    return cases


def _ids(artifact: Path, texts: int, tokens: int) -> TokenIds:
    manifest = read_manifest(artifact)
    encoder = Encoder.load(artifact / TOKENIZER, max_tokens=manifest.max_tokens)
    made = Texts.of(artifact).of_length(min(tokens, manifest.max_tokens), texts)
    return np.stack([encoded.ids for encoded in encoder.encode(made)])


def _repeat(call: Callable[[], object], repeats: int) -> list[Sample]:
    return [timed(call) for _ in range(repeats)]


def _rate(product: Product, found: Mapping[str, Rounds]) -> float:
    """Operations a second of the processor: a neighbour that takes the core away does not make it slower."""
    return product.operations / middle(found[product.name], cpu=True)


def _peak(products: Sequence[Product], found: Mapping[str, Rounds], kind: str) -> float:
    return max(_rate(product, found) for product in products if product.kind == kind)


def _peak_table(products: Sequence[Product], found: Mapping[str, Rounds], rounds: int) -> Table:
    rates = {(p.kind, p.shape, p.rows): _rate(p, found) for p in products}
    shapes = list(dict.fromkeys((kind, shape) for kind, shape, _ in rates))
    sizes = list(dict.fromkeys(rows for _, _, rows in rates))
    return Table(
        title="(e) What one core does at most",
        reading="Thousand million operations a second (a multiplication and an addition are two) of onnxruntime's "
        f"matrix product alone, by the rows of its left side; medians of {rounds} rounds, by the processor's time.",
        head=["", *(f"{rows} rows" for rows in sizes)],
        rows=[
            [f"{kind} · {shape[0]} to {shape[1]}", *(f"{rates[kind, shape, rows] / 1e9:.0f}" for rows in sizes)]
            for kind, shape in shapes
        ],
        notes=["int8 is MatMulInteger of uint8 with 7-bit int8 weights, as in our graph; fp32 is MatMul."],
    )


def _limit_table(
    cases: Sequence[Case],
    found: Mapping[str, Rounds],
    accounts: Mapping[str, Account],
    peaks: Mapping[str, float],
) -> Table:
    rows = []
    for case in cases:
        counted = accounts[case.name]
        whole, integer, floating = (
            value / case.texts
            for value in (middle(found[case.name], cpu=True), counted.integer_operations, counted.float_operations)
        )
        limit = integer / peaks["int8"] + floating / peaks["fp32"]
        share = f"{100 * counted.share(INTEGER_PRODUCTS | FLOAT_PRODUCTS):.0f} %"
        operations = [f"{integer / 1e6:.1f}", f"{floating / 1e6:.1f}"]
        rows.append([case.name, *operations, milliseconds(limit), milliseconds(whole), times(whole / limit), share])
    return Table(
        title="(e) How near to the limit",
        reading="Million operations a text, counted from the shapes that ran; the least time for them at the "
        "highest rates above; what session.run takes, in milliseconds of the processor a text; and the share of "
        "that inside products.",
        head=["int8 graph", "int8 Mop", "fp32 Mop", "limit ms", "measured ms", "measured / limit", "in products"],
        rows=rows,
        notes=[
            f"The highest rates here: {peaks['int8'] / 1e9:.0f} int8 and {peaks['fp32'] / 1e9:.0f} fp32, at "
            "whichever shape reaches them. 1.00x would be a graph that does nothing but products, each at that "
            "rate."
        ],
    )


def _account_table(cases: Sequence[Case], accounts: Mapping[str, Account]) -> Table:
    shown = [case for case in cases if case.graph == cases[0].graph]
    whole = accounts[shown[-1].name].seconds
    longest = sorted(whole, key=whole.__getitem__, reverse=True)[:_SHOWN_OPERATORS]
    rows = [[name, *(_cell(accounts[case.name], {name}) for case in shown)] for name in longest]
    rows.append(["the others", *(_cell(accounts[c.name], set(accounts[c.name].seconds) - {*longest}) for c in shown)])
    return Table(
        title="(e) Where the rest goes",
        reading="Milliseconds a text by type of operator, and its share of all operators, from onnxruntime's own "
        "profile of the int8 graph; the products are at the top where they take longest.",
        head=["operator", *(case.name for case in shown)],
        rows=rows,
        notes=[
            "Abs, ReduceMax, Max, Reciprocal, QuantizeLinear and most of Mul are what a scale for rows of activations "
            "takes: each runs as a node of its own. In return an answer does not depend on the batch.",
        ],
    )


def _cell(counted: Account, operators: set[str]) -> str:
    seconds = sum(counted.seconds.get(name, 0.0) for name in operators) / counted.texts
    return f"{milliseconds(seconds)} ({100 * counted.share(operators):.0f} %)"
