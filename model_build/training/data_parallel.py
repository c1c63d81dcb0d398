"""Training in several processes, each with its share of every batch: torchrun starts them, gradients are averaged.

On CPUs over gloo, on GPUs over NCCL; one process is ``python -m model_build.training.data_parallel TRAINING``.
A batch has ``batch_size`` texts in each process, so that two processes take half as many steps as one.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from model_build.training.train import Training, fit, save
from slipway.errors import BuildError

_JOB = "job.pt"
_REFUSAL = f"{BuildError.__module__}.{BuildError.__name__}: "
_FRAMEWORK = ("torch/distributed", "torch.distributed", "ChildFailedError")  # what torchrun says of its own


def train_in_processes(training: Training, console: Console) -> None:
    """Run ``training`` in ``config.processes`` processes; ``trained.pt`` is in its directory afterwards.

    They end with this process, whatever ends it. Raises BuildError with what the first failing process said last.
    """
    job = training.directory / _JOB
    torch.save(training, job)
    count = training.config.processes
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command += ["-m", "model_build.training.data_parallel", str(job)]
    environment = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count))} | os.environ
    with console.status(f"  {training.stage} in {count} processes"), _lifeline() as line:
        run = subprocess.run(command, env=environment, stdin=line, capture_output=True, text=True, check=False)
    job.unlink(missing_ok=True)
    if run.returncode:
        raise _failure(run.stderr, count)


def main(job: Path) -> None:
    """Train as one of several processes; the first one writes what came out."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    training: Training = torch.load(job, weights_only=False)  # our own file, written a moment ago
    first = int(os.environ["RANK"]) == 0
    training = training if first else replace(training, scalars=None)
    report = fit(training, Console(stderr=True, quiet=not first))
    if first:
        save(training, report)
    torch.distributed.destroy_process_group()


@contextmanager
def _lifeline() -> Iterator[int]:
    """A pipe that nobody writes to. Its reading end is the processes' stdin: it ends when this process is gone, even by
    SIGKILL, and two builds would else write the same checkpoints.
    """
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def _end_with_parent() -> None:
    """For a thread. It reads past Python's buffer, whose lock nobody may hold when the interpreter ends."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _failure(stderr: str, count: int) -> BuildError:
    """The first error that a process, and not torchrun, reported; of one that a signal ended, which signal."""
    lines = [" ".join(line.split()) for line in stderr.splitlines()]
    errors = [line for line in lines if "Error: " in line and not any(word in line for word in _FRAMEWORK)]
    reason = next(iter(errors or [line for line in lines if line.startswith("exitcode")]), "they said nothing")
    if reason.startswith(_REFUSAL):
        return BuildError(reason.removeprefix(_REFUSAL))
    return BuildError(
        f"Training in {count} processes failed: {reason}",
        remedy="Lower train.processes; 1 trains in this process.",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
