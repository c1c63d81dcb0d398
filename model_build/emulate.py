"""The same graph on a CPU that is not here: qemu's user mode runs onnxruntime as on a processor with AVX2 and no more.

Lambda promises AVX2 and nothing beyond, and does not say what it gives. An emulated text takes about a second, so the
texts are chosen: those whose answer is nearest to tipping, and some at random to learn how far answers move at all.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from slipway.encoding import TokenIds
from slipway.errors import BuildError
from slipway.predictor import Logits

EMULATOR = "qemu-x86_64"
_CPUS = {"avx2": "Haswell"}


def emulated_logits(graph: Path, rows: Sequence[TokenIds], *, pad_id: int, cpu_class: str) -> Logits:
    """Logits (rows, labels) of ``graph``, computed on an emulated CPU of ``cpu_class``.

    Raises BuildError if there is no emulator, or if what it runs fails.
    """
    require_emulators([cpu_class])
    with tempfile.TemporaryDirectory() as scratch:
        given, found = Path(scratch) / "rows.npz", Path(scratch) / "logits.npy"
        np.savez(given, *rows)
        command = [EMULATOR, "-cpu", _CPUS[cpu_class], sys.executable, "-m", "model_build.emulated"]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        environment.pop("OPENBLAS_CORETYPE", None)  # it would name the kernels of the CPU that is really here
        run = subprocess.run(
            [*command, str(graph), str(pad_id), str(given), str(found)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            reason = (run.stderr.strip().splitlines() or ["no output"])[-1]
            raise BuildError(f"The emulated {cpu_class} run ended with {run.returncode}: {reason}")
        logits: Logits = np.load(found)
        return logits


def require_emulators(cpu_classes: Sequence[str]) -> None:
    """Raises BuildError if a class of CPU needs an emulator that is not installed: asked before training, not after."""
    for cpu_class in cpu_classes:
        if cpu_class in _CPUS and shutil.which(EMULATOR) is None:
            raise BuildError(
                f'The gate "{cpu_class}" needs {EMULATOR}, which is not on the PATH.',
                remedy="Install it (Debian: apt-get install qemu-user), "
                "or pass --set 'gates.cpu_classes=[\"native\"]'.",
            )


def texts_to_emulate(margins: npt.NDArray[np.float32], count: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Indices of ``count`` texts: three in four with the smallest margins, the rest at random; 0 takes all."""
    if not 0 < count < len(margins):
        return np.arange(len(margins))
    order = np.argsort(margins, kind="stable")
    nearest = order[: count * 3 // 4]
    others = np.random.default_rng(seed).permutation(order[len(nearest) :])[: count - len(nearest)]
    return np.sort(np.concatenate([nearest, others]))
