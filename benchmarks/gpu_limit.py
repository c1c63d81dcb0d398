"""How near a network on a GPU is to what the card does at most, and which batches it answers fastest."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.gemm import chains
from benchmarks.measure import Measure, Rounds, Sample, middle, take_turns, timed
from benchmarks.operators import account
from benchmarks.options import Options
from benchmarks.tables import Table, milliseconds
from benchmarks.texts import Texts
from slipway.artifact import TOKENIZER, model_file, read_manifest
from slipway.encoding import Encoder, TokenIds
from slipway.network import Device, Network, open_session

_BATCH_TOKENS = (0, 2_048, 16_384, 131_072)  # 0: one text
_BUDGETS = (2_048, 4_096, 8_192, 16_384, 32_768, 65_536)
_IN_FLIGHT = (1, 2, 3)


def measure(options: Options, models: Mapping[str, Path], device: Device) -> list[Table]:
    """Three tables. Raises ModelUnavailable without such a ``device``."""
    sessions = {name: open_session(artifact / model_file("fp16"), device) for name, artifact in models.items()}
    batches = {
        (name, texts, length): np.stack([ids] * texts)
        for name, artifact in models.items()
        for length, ids in _one_of_each_length(artifact).items()
        for texts in dict.fromkeys(max(1, tokens // length) for tokens in _BATCH_TOKENS[: options.count(4, 2)])
    }
    products = chains(device, small=options.quick)
    repeats = options.count(20, 2)
    rows: dict[str, Measure] = {chain.name: partial(_repeat, chain.run, repeats) for chain in products}
    for (name, texts, length), ids in batches.items():
        run = partial(sessions[name].run, ["logits"], {"input_ids": ids})
        rows[_named(name, texts, length)] = partial(_repeat, run, repeats)
    found = take_turns(rows, rounds=options.rounds, progress=options.progress)
    rates = {chain.name: chain.operations / middle(found[chain.name]) for chain in products}
    return [
        _peak_table(rates, options.rounds),
        _limit_table(options, models, batches, found, max(rates.values()), repeats),
        _packs(options, models, device),
    ]


def _one_of_each_length(artifact: Path) -> dict[int, TokenIds]:
    texts = Texts.of(artifact)
    return {length: _ids(artifact, texts.of_length(length, 1))[0] for length in texts.lengths()}


def _ids(artifact: Path, texts: Sequence[str]) -> list[TokenIds]:
    encoder = Encoder.load(artifact / TOKENIZER, max_tokens=read_manifest(artifact).max_tokens)
    return [encoded.ids for encoded in encoder.encode(texts)]


def _repeat(call: Callable[[], object], repeats: int) -> list[Sample]:
    return [timed(call) for _ in range(repeats)]


def _named(name: str, texts: int, length: int) -> str:
    return f"{name}, {texts:,} x {length} tokens"


def _peak_table(rates: Mapping[str, float], rounds: int) -> Table:
    return Table(
        title="(l) What the GPU does at most",
        reading="Million million operations a second (a multiplication and an addition are two) of fp16 products one "
        f"after the other in one run of onnxruntime, by their shapes; medians of {rounds} rounds.",
        head=["left side, widths", "TFLOP/s"],
        rows=[[name, f"{rate / 1e12:.3g}"] for name, rate in rates.items()],
        notes=[f"The GPU: {_card()}."],
    )


def _card() -> str:
    """What the driver calls it."""
    asked = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "none that nvidia-smi knows"


def _limit_table(
    options: Options,
    models: Mapping[str, Path],
    batches: Mapping[tuple[str, int, int], TokenIds],
    found: Mapping[str, Rounds],
    peak: float,
    repeats: int,
) -> Table:
    rows, needs = [], {}
    for (name, texts, length), ids in batches.items():
        if (name, length) not in needs:
            counted = account(models[name] / model_file("fp32"), ids[:1], options.folder("limit"), 1)
            needs[name, length] = counted.float_operations
        operations = texts * needs[name, length]
        seconds = middle(found[_named(name, texts, length)])
        rows.append(
            [
                _named(name, texts, length),
                milliseconds(seconds),
                f"{texts / seconds:,.0f}",
                f"{texts * length / seconds:,.0f}",
                f"{operations / texts / 1e9:.3g}",
                f"{operations / seconds / 1e12:.3g}",
                f"{100 * operations / seconds / peak:.1f} %",
            ]
        )
    return Table(
        title="(l) How near the network is to that",
        reading="fp16, token ids in, logits out; operations of products, counted from the shapes that ran, and their "
        f"share of the highest rate above; medians of {options.rounds} rounds of {repeats} runs.",
        head=["network, batch", "ms a run", "texts/s", "tokens/s", "GFLOP a text", "TFLOP/s", "share of the highest"],
        rows=rows,
    )


def _packs(options: Options, models: Mapping[str, Path], device: Device) -> Table:
    """Which budget a batch should have, and how many should be in flight."""
    name, artifact = next(iter(models.items()))
    network = Network(artifact / model_file("fp16"), pad_id=read_manifest(artifact).pad_id, device=device)
    rows = _ids(artifact, Texts.of(artifact).long_tailed(options.count(16_384, 64)))
    budgets = _BUDGETS[: options.count(len(_BUDGETS), 1)]
    ways = {f"{budget} {threads}": (budget, threads) for budget, threads in product(budgets, _IN_FLIGHT)}
    found = take_turns(
        {way: partial(_stream, network, rows, *how) for way, how in ways.items()},
        rounds=options.count(3, 1),
        progress=options.progress,
    )
    return Table(
        title="(l) Batches of long-tailed texts",
        reading="Texts a second, encoded already, sorted by length and packed, by the padded tokens of a batch and by "
        "the batches in flight.",
        head=["padded tokens", *(f"{threads} in flight" for threads in _IN_FLIGHT)],
        rows=[
            [f"{budget:,}", *(f"{len(rows) / middle(found[f'{budget} {threads}']):,.0f}" for threads in _IN_FLIGHT)]
            for budget in budgets
        ],
        notes=[f"{name}; {len(rows):,} texts with {sum(map(len, rows)):,} tokens."],
    )


def _stream(network: Network, rows: Sequence[TokenIds], budget: int, threads: int) -> list[Sample]:
    parts = [rows[start::threads] for start in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        return [timed(lambda: [*pool.map(partial(network.logits, pack_tokens=budget), parts)])]
