"""Virtual environments of the peers that cannot live in ours, made on demand."""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Skipped

OPENVINO = ("openvino==2026.4.1", "nncf==3.4.0", "tokenizers==0.23.3")
# With ours for the rest, torch and onnxruntime among it: the newest optimum-onnx wants a transformers before 5.
OPTIMUM = (
    "optimum-onnx==0.1.0",
    "optimum==2.1.0",
    "transformers==4.57.6",
    "huggingface_hub==0.36.2",
    "tokenizers==0.22.2",
)
_OUR_RUNTIME = ("onnxruntime==1.31.1", "tokenizers==0.23.3")  # of ``slipway``'s predictor, which these serve
TRITON = ("nvidia-pytriton==0.7.0", "numpy==1.26.4", *_OUR_RUNTIME)
LITSERVE = ("litserve==0.2.19", "numpy==2.4.6", *_OUR_RUNTIME)


def own_python(directory: Path, requirements: Sequence[str], *, beside_ours: bool = False) -> Path:
    """The interpreter of an environment that holds ``requirements`` and what they need.

    ``beside_ours`` takes what they need from our own environment. Raises Skipped, with pip's complaint, if it cannot be
    made.
    """
    finished = directory / "finished"  # written last: an environment whose making was interrupted lacks it
    wanted = "\n".join((sys.prefix, sys.version, *requirements))
    if not finished.exists() or finished.read_text() != wanted:
        shutil.rmtree(directory, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(directory)])
        (directory.parent / ".gitignore").write_text("*\n")
        python, options = str(directory / "bin/python"), ["--no-deps"] if beside_ours else []
        _run([python, "-m", "pip", "install", "--quiet", "--no-compile", *options, *requirements])
        if beside_ours:
            (packages,) = directory.glob("lib/python*/site-packages")
            (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
        finished.write_text(wanted)
    return directory / "bin/python"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        complaint = next((line for line in lines if "error" in line.lower()), (lines or ["it said nothing"])[-1])
        raise Skipped(f"{' '.join(command[1:5])} … failed: {complaint.strip()[:200]}")
