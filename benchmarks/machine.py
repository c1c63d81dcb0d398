"""What a number was measured on: the processor and what it can do, the load, the versions, the revision."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.options import ROOT
from model_build.evaluation.evaluate import cpu_name

PACKAGES = ("onnxruntime", "tokenizers", "numpy", "torch", "transformers", "awslambdaric", "aws-lambda-powertools")
# What decides which integer kernel onnxruntime takes.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")


def now() -> str:
    """The present minute."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def describe() -> str:
    """One line: processor, cores, instruction sets, load, interpreter, packages, revision of the code."""
    flags = " ".join(instruction_sets()) or "none of " + " ".join(_FLAGS)
    cores, load = os.cpu_count(), os.getloadavg()[0]
    packages = ", ".join(versions(PACKAGES))
    python = f"Python {platform.python_version()}"
    return f"{cpu_name()}, {cores} cores ({flags}), load {load:.1f}; {python}, {packages}; code {revision()}"


def instruction_sets(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Those of the processor that matter here."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return [name for name in _FLAGS if name in flags]


def versions(packages: Sequence[str]) -> list[str]:
    """``name version`` of those that are installed."""
    found = []
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found


def revision() -> str:
    """The commit that is checked out, and whether files differ from it."""
    try:
        return _git("rev-parse", "--short=12", "HEAD") + (" with changes" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "without git"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
