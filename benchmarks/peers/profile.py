"""Which packages the seconds of a call are spent in, by cProfile: good for shares, since it slows Python down."""

import cProfile
import json
import pstats
import sysconfig
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.options import ROOT
from benchmarks.peers.loop import Call

# Where installed packages and the standard library are: what comes after names the package.
_ROOTS = [sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")]
_ROOTS += [str(ROOT / "layers/runtime/python"), str(ROOT)]
_LIBRARIES = ("onnxruntime", "tokenizers", "benchmarks")


def write_profile(calls: Sequence[Call], path: Path) -> None:
    """Run the calls; write the shares by package, without those of the model, of its tokenizer and of the benchmark."""
    profiler = cProfile.Profile()
    with profiler:
        for call in calls:
            call()
    seconds = by_package(pstats.Stats(profiler).stats)  # type: ignore[attr-defined]
    ours = {name: spent for name, spent in seconds.items() if name not in _LIBRARIES}
    whole = sum(ours.values()) or 1.0
    path.write_text(json.dumps({name: spent / whole for name, spent in ours.items()}))


def by_package(stats: dict[Any, Any]) -> dict[str, float]:
    """Seconds by package; a built-in function counts as the package that calls it."""
    seconds: Counter[str] = Counter()
    for (file, _, _), (_, _, own, _, callers) in stats.items():
        if file != "~":
            seconds[package_of(file)] += own
        for (calling, _, _), (_, _, spent, _) in callers.items() if file == "~" else ():
            seconds[package_of(calling)] += spent
    return dict(seconds)


def package_of(file: str) -> str:
    """The package, the first two names of ours, or the module of the standard library."""
    for root in sorted(_ROOTS, key=len, reverse=True):
        if file.startswith(root + "/"):
            parts = file.removeprefix(root + "/").removesuffix(".py").split("/")
            return ".".join(parts[: 3 if parts[0] == "functions" else 2 if parts[0] == "slipway" else 1])
    return "Python"
