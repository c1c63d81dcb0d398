"""``python -m tests.fuzz --seconds 600``: CPU seconds over all targets, by atheris where it is installed.

Exits with 1 if there is a finding, and leaves the input in ``--findings``. ``pip install atheris`` makes it guided by
coverage; without it, good inputs are changed at random.
"""

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

NAMES = (
    "body_v1", "body_v2", "body_v2_binary", "body_tei", "message_grpc", "event_gateway", "file_batch", "sidecar",
    "key_s3", "manifest", "pointer", "pulse", "answer_gpu", "answer_client", "ends_of_records",
)  # fmt: skip


def main() -> None:
    """Every target in a process of its own, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="CPU seconds of all targets together")
    parser.add_argument("--only", choices=NAMES, action="append", help="a target; again for more")
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz"), help="where inputs that crash are left")
    parser.add_argument("--target", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.findings.mkdir(parents=True, exist_ok=True)
    if options.target:
        run = _run_atheris if importlib.util.find_spec("atheris") else _run_mutation
        run(options.target, options.seconds, options.findings)
        return
    names = options.only or [*NAMES]
    failed = [name for name in names if _spawn(name, options.seconds / len(names), options.findings)]
    print(f"{len(names)} targets, {options.seconds:.0f} s of CPU: {', '.join(failed) or 'no finding'}")
    sys.exit(bool(failed))


def _spawn(name: str, seconds: float, findings: Path) -> int:
    """A target in its own process: one that crashes takes no other with it."""
    own = ["--target", name, "--seconds", str(seconds), "--findings", str(findings)]
    done = subprocess.run([sys.executable, "-m", "tests.fuzz", *own], capture_output=True, text=True, check=False)
    told = (done.stdout + done.stderr).strip().splitlines()
    print(f"{name}: {told[-1] if told and not done.returncode else f'exit {done.returncode}'}", flush=True)
    if done.returncode:
        print("\n".join(told[-40:]), flush=True)
    return done.returncode


class _Counted:
    """A target that ends the process when its CPU seconds are used up."""

    def __init__(self, target: Callable[[bytes], None], seconds: float) -> None:
        self._target = target
        self._end = time.process_time() + seconds
        self._count = 0

    def __call__(self, data: bytes) -> None:
        self._target(data)
        self._count += 1
        if time.process_time() > self._end:
            print(f"{self._count:,} inputs in {time.process_time():.0f} s of CPU", flush=True)
            os._exit(0)


def _run_atheris(name: str, seconds: float, findings: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["slipway", "functions"]):
        from tests.fuzz.mutation import mutated
        from tests.fuzz.seeds import seeds
        from tests.fuzz.targets import TARGETS

    def change(data: bytes, longest: int, seed: int) -> bytes:
        """Half of the changes are libFuzzer's own; it knows nothing of JSON."""
        chooser = random.Random(seed)
        return bytes(atheris.Mutate(data, longest)) if chooser.random() < 0.5 else mutated(chooser, [data])[:longest]

    corpus = findings / f"corpus-{name}"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    bounds = ["-timeout=60", "-rss_limit_mb=4096", "-max_len=20000", f"-artifact_prefix={findings}/{name}-"]
    atheris.Setup([sys.argv[0], *bounds, str(corpus)], _Counted(TARGETS[name], seconds), custom_mutator=change)
    atheris.Fuzz()


def _run_mutation(name: str, seconds: float, findings: Path) -> None:
    from tests.fuzz.mutation import mutated
    from tests.fuzz.seeds import seeds
    from tests.fuzz.targets import TARGETS

    chooser, good, target = random.Random(), seeds(name), _Counted(TARGETS[name], seconds)
    while True:
        data = mutated(chooser, good)
        try:
            target(data)
        except BaseException:  # a finding, whatever it is: kept, and raised again
            (findings / f"{name}-crash").write_bytes(data)
            raise


if __name__ == "__main__":
    main()
