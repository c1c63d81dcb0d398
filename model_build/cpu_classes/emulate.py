"""The same graph on a CPU that is not here: qemu's user mode runs onnxruntime as on another class of processor.

Lambda promises AVX2 on x86 and nothing beyond, does not say what it gives, and has arm64 as well. An emulated text
takes seconds, so the texts are chosen: those whose answer is nearest to tipping, and some at random to learn how far
answers move at all. qemu knows no AVX-512: see ``processor.py`` for what that leaves unmeasured.
"""

import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model_build.cpu_classes.arm64 import EMULATOR as ARM64_EMULATOR
from model_build.cpu_classes.arm64 import guest_command, guest_environment, root_directory
from slipway.encoding import TokenIds
from slipway.errors import BuildError
from slipway.probabilities import Logits

EMULATORS = {"avx2": "qemu-x86_64", "arm64": ARM64_EMULATOR}  # by class of CPU
AVX2_CPU = "Haswell"  # the first with AVX2, and without AVX-512 and VNNI
_START_SECONDS = 600
_TOKEN_SECONDS = 5  # 50 times what a token of 6 layers took on a busy machine: the limit ends what hangs


def emulated_logits(
    graph: Path, rows: Sequence[TokenIds], *, pad_id: int, cpu_class: str, seconds: float | None = None
) -> Logits:
    """Logits (rows, labels) of ``graph``, computed on an emulated CPU of ``cpu_class``.

    ``seconds`` bounds the run; by default a generous limit that grows with the tokens.
    Raises BuildError if there is no emulator, or if what it runs fails, is killed or does not end.
    """
    require_emulators([cpu_class])
    limit = seconds or _START_SECONDS + _TOKEN_SECONDS * sum(map(len, rows))
    with tempfile.TemporaryDirectory() as scratch:
        given, found = Path(scratch) / "rows.npz", Path(scratch) / "logits.npy"
        np.savez(given, *rows)
        _run_emulated(cpu_class, [str(graph.resolve()), str(pad_id), str(given), str(found)], limit)
        if not found.exists():
            raise BuildError(f"The emulated {cpu_class} run ended without an answer.")
        logits: Logits = np.load(found)
    return logits


def require_emulators(cpu_classes: Sequence[str]) -> None:
    """Raises BuildError if a class of CPU needs what is not installed: asked before training, not after."""
    for cpu_class in cpu_classes:
        if cpu_class not in EMULATORS:
            continue
        remedy = f"or take {cpu_class!r} out of the list: --set 'gates.cpu_classes=[\"native\"]'."
        if shutil.which(EMULATORS[cpu_class]) is None:
            raise BuildError(
                f'The gate "{cpu_class}" needs {EMULATORS[cpu_class]}, which is not on the PATH.',
                remedy=f"Install it (Debian: apt-get install qemu-user), {remedy}",
            )
        if cpu_class == "avx2" and platform.machine() not in ("x86_64", "AMD64"):
            raise BuildError(
                f'The gate "avx2" runs this Python on an emulated CPU, and this Python is for {platform.machine()}.',
                remedy=f"Build on an x86-64 machine, {remedy}",
            )
        if cpu_class == "arm64" and not root_directory().exists():
            raise BuildError(
                f'The gate "arm64" needs an arm64 system to run in, and there is no {root_directory()}.',
                remedy=f"Make it once, in about a minute: python -m model_build.cpu_classes.root, {remedy}",
            )


def texts_to_emulate(margins: npt.NDArray[np.float32], count: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Indices of ``count`` texts: three in four with the smallest margins, the rest at random; 0 takes all."""
    if not 0 < count < len(margins):
        return np.arange(len(margins))
    order = np.argsort(margins, kind="stable")
    nearest = order[: count * 3 // 4]
    others = np.random.default_rng(seed).permutation(order[len(nearest) :])[: count - len(nearest)]
    return np.sort(np.concatenate([nearest, others]))


def _run_emulated(cpu_class: str, arguments: Sequence[str], limit: float) -> None:
    command, environment = _python(cpu_class)
    command += ["-m", "model_build.cpu_classes.emulated", *arguments]
    try:
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise BuildError(
            f"The emulated {cpu_class} run did not end in {limit:.0f} s and was stopped.",
            remedy="Lower gates.emulated_texts, or build where the processors are not busy.",
        ) from error
    except OSError as error:
        raise BuildError(f"The emulated {cpu_class} run could not be started: {error.strerror}.") from error
    if run.returncode:
        reason = (run.stderr.strip().splitlines() or ["no output"])[-1]
        raise BuildError(f"The emulated {cpu_class} run {_ending(run.returncode)}: {reason}")


def _python(cpu_class: str) -> tuple[list[str], dict[str, str]]:
    """The command that is Python on such a CPU, and its environment."""
    if cpu_class == "arm64":
        root = root_directory()
        return guest_command(root), guest_environment(root)
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    environment.pop("OPENBLAS_CORETYPE", None)  # it would name the kernels of the CPU that is really here
    return [EMULATORS[cpu_class], "-cpu", AVX2_CPU, sys.executable], environment


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"was killed by signal {-code}"
