"""What the predict function imports until its first answer, as ``python -X importtime`` counts, by package."""

import re
from collections import Counter
from dataclasses import replace
from statistics import median

from benchmarks.starter import Start, Starter
from benchmarks.tables import Table, milliseconds

_LINE = re.compile(r"import time:\s*(\d+) \|\s*\d+ \| ( *)(\S+)")
_SHOWN = 14
# Its own time is that of loading the model, which is no import.
_LOADS_THE_MODEL = "functions.predict.handler"


def table(starter: Starter, function: Start, starts: int) -> Table:
    """The packages that take longest, of ``starts`` starts."""
    found = []
    for _ in range(starts):
        starter(replace(function, interpreter=["-X", "importtime"]))
        found.append(by_package(starter.log.read_text(errors="replace")))
    packages = {name: median(each[name][0] for each in found) for name in {*found[0]}.intersection(*found)}
    modules = found[0]
    longest = sorted(packages, key=packages.__getitem__, reverse=True)[:_SHOWN]
    rows = [[name, milliseconds(packages[name]), str(modules[name][1])] for name in longest]
    rows.append(["all", milliseconds(sum(packages.values())), str(sum(count for _, count in modules.values()))])
    return Table(
        title="(b) Imports of the whole function",
        reading="Milliseconds on the clock inside each package's own modules, as Python itself counts them, and "
        f"how many of its modules are imported until the first answer; medians of {starts} starts, the longest "
        "first.",
        head=["package", "ms", "modules"],
        rows=rows,
        notes=["Counting takes time of its own: shares say more than sums."],
    )


def by_package(log: str) -> dict[str, tuple[float, int]]:
    r"""Seconds and modules by top-level package, in what ``-X importtime`` wrote.

    >>> by_package("import time:       300 |       1300 |   numpy.core\nimport time:       700 |        700 | numpy")
    {'numpy': (0.001, 2)}
    """
    microseconds: Counter[str] = Counter()
    modules: Counter[str] = Counter()
    for own, _, module in _LINE.findall(log):
        if module != _LOADS_THE_MODEL:
            microseconds[package := module.partition(".")[0]] += int(own)
            modules[package] += 1
    return {name: (microseconds[name] / 1e6, modules[name]) for name in microseconds}
