"""What a function must hold: resident memory after some answers, and bytes on disk, unpacked."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.measure import Skipped
from benchmarks.options import ROOT, Options
from benchmarks.peers.roster import Entry, single_texts, start
from benchmarks.tables import Measured, Table, megabytes
from benchmarks.texts import Texts
from slipway.artifact import MANIFEST, read_manifest

_FUNCTION = ROOT / "functions/predict"


def measure(options: Options) -> Measured:
    """Two tables: memory and disk."""
    return Measured([_memory(options), _disk(options)])


def _memory(options: Options) -> Table:
    texts = Texts.of(options.artifact)
    calls = [[text] for length in texts.lengths() for text in texts.of_length(length, 4)]
    found: dict[str, list[dict[str, int]]] = {}
    notes: list[str] = []
    entries = single_texts()
    for number in range(options.count(5, 1)):
        for entry in list(entries):
            options.progress(f"start {number + 1}: {entry.name}")
            try:
                found.setdefault(entry.name, []).append(_resident(entry, options, calls))
            except Skipped as reason:
                notes.append(f"Not measured: {entry.name}: {reason}")
                entries.remove(entry)
    rows = [
        [name, *(megabytes(median(each[kind] for each in all_)) for kind in ("resident", "own", "peak"))]
        for name, all_ in found.items()
        if all_
    ]
    return Table(
        title="(f) Memory",
        reading=f"Megabytes resident after {len(calls)} answers, the part of them that no file backs (mapped weights "
        f"are a file's: the kernel may drop them), and the most at any time; medians of {options.count(5, 1)} starts.",
        head=["", "resident MB", "own MB", "peak MB"],
        rows=rows,
        notes=notes,
    )


def _resident(entry: Entry, options: Options, calls: list[list[str]]) -> dict[str, int]:
    with start(entry, options) as worker:
        worker.time(calls)
        return worker.memory()


def _disk(options: Options) -> Table:
    needed = _function_packages()
    served = (MANIFEST, *read_manifest(options.artifact).serving_files("int8"))
    model = sum((options.artifact / name).stat().st_size for name in served)
    bare, naive = with_dependencies(["onnxruntime", "tokenizers"]), with_dependencies(["torch", "transformers"])
    base = sum(path.stat().st_size for path in options.base.rglob("*") if path.is_file())
    rows: list[tuple[str, int, int]] = [
        ("slipway int8, as the image has it", _pruned_size(needed), model),
        ("slipway int8, before the Dockerfile prunes", installed_size(needed), model),
        ("onnxruntime and tokenizers as pip installs them", installed_size(bare), model),
        ("transformers and torch (CPU)", installed_size(naive), base),
    ]
    return Table(
        title="(f) Unpacked size",
        reading="Megabytes on disk that a cold start may have to fetch: Python packages without bytecode, the model's "
        "files, their sum.",
        head=["", "packages MB", "model MB", "together MB"],
        rows=[[name, *map(megabytes, (packages, files, packages + files))] for name, packages, files in rows],
        notes=["Without Python itself and awslambdaric, which the base image brings."],
    )


def with_dependencies(names: list[str]) -> set[str]:
    """Distributions and all that they require here, without extras; what is not installed is left out."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        found.add(name)
        parsed = map(Requirement, requires)
        waiting += [each.name for each in parsed if not each.marker or each.marker.evaluate({"extra": ""})]
    return found


def installed_size(names: set[str]) -> int:
    """Bytes of the distributions' files."""
    return sum(source.stat().st_size for name in names for source, _ in _files(name))


def _function_packages() -> set[str]:
    """What the image installs."""
    lines = (_FUNCTION / "requirements.txt").read_text().splitlines()
    return {match[1] for line in lines if (match := re.match(r"([A-Za-z0-9._-]+)==", line))}


def _pruned_size(names: set[str]) -> int:
    """Bytes that are left of the packages when the Dockerfile's own commands have pruned them."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in names:
            for source, relative in _files(name):
                (root / relative).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, root / relative)
        subprocess.run(["sh", "-ec", pruning()], cwd=root, check=True, capture_output=True)
        return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def pruning() -> str:
    """What the Dockerfile does to the packages between installing and compiling them, as a shell command."""
    joined = (_FUNCTION / "Dockerfile").read_text().replace("\\\n", " ")
    (install,) = (line for line in joined.splitlines() if line.startswith("RUN") and " pip install " in line)
    return " && ".join(step for step in install.split("&&")[1:] if "compileall" not in step and "sbom" not in step)


def _files(name: str) -> Iterator[tuple[Path, Path]]:
    """Where each file of a distribution is, and where under ``--target`` it would be."""
    for file in distribution(name).files or []:
        path = Path(str(file.locate()))
        if path.is_file() and file.suffix != ".pyc":
            yield path, Path(*[part for part in file.parts if part != ".."])
