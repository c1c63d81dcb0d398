"""The rows: ours, and the peers with the same architecture. Each names what must be there before it can run."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.measure import Skipped
from benchmarks.options import ROOT, Options
from benchmarks.peers.venvs import OPENVINO, OPTIMUM, own_python
from benchmarks.peers.worker import Peer, Worker, environment
from benchmarks.texts import Texts

OURS = "slipway int8"
SMALL = "slipway int8, 3 layers distilled"
SAME_SHAPE = (
    "Peers run the architecture and the encoder weights that our 6 layers were tuned from, with a classification head "
    "of random weights (fastembed's way: our own weights): their time is compared, not their answers."
)

_MAIN = Path(sys.executable)
_CALIBRATION_TEXTS = 128


@dataclass(frozen=True)
class Entry:
    """A row's name, and what makes its peer; making it raises Skipped where it cannot be had here."""

    name: str
    make: Callable[[Options], Peer]


def single_texts() -> list[Entry]:
    """Rows for texts that come one at a time."""
    return [
        *ours(),
        Entry("transformers pipeline, fp32", lambda o: main_peer("pipeline", o.base)),
        Entry("torch.compile, fp32", lambda o: main_peer("compiled", o.base)),
        Entry("torch.onnx export, onnxruntime fp32", lambda o: main_peer("exported", o.base, exported(o))),
        Entry("torch.onnx export, dynamic int8", lambda o: main_peer("exported", o.base, _quantized(o))),
        Entry("optimum, onnxruntime fp32", _optimum),
        Entry("OpenVINO, NNCF int8", _openvino),
        Entry("fastembed's way: fp32, padded to the limit", lambda o: main_peer("fixed_padding", o.artifact)),
    ]


def many_texts() -> list[Entry]:
    """Rows for many texts at once; a peer makes batches as its users do, in the order given."""
    return [
        *ours(),
        Entry(f"{OURS}, one at a time", lambda o: main_peer("ours", o.artifact, "int8", "--alone")),
        Entry(f"{OURS}, two threads", lambda o: main_peer("ours", o.artifact, "int8", "--threads", 2)),
        Entry("transformers pipeline, one at a time", lambda o: main_peer("pipeline", o.base)),
        Entry("transformers pipeline, batches of 32", lambda o: main_peer("pipeline", o.base, "--batch", 32)),
        Entry("torch.compile, batches of 32", lambda o: main_peer("compiled", o.base, "--batch", 32, "--dynamic")),
        Entry("torch.onnx export, batches of 32", lambda o: main_peer("exported", o.base, exported(o), "--batch", 32)),
        Entry("optimum, batches of 32", lambda o: _optimum(o, "--batch", 32)),
        Entry("OpenVINO int8, batches of 32", lambda o: _openvino(o, "--batch", 32)),
        Entry("fastembed's way: padded to the limit", lambda o: main_peer("fixed_padding", o.artifact)),
    ]


def ours() -> list[Entry]:
    """The artifact in int8 and fp32, and the distilled one in int8."""
    return [
        Entry(OURS, lambda o: main_peer("ours", o.artifact, "int8")),
        Entry(SMALL, lambda o: main_peer("ours", _small(o), "int8")),
        Entry("slipway fp32", lambda o: main_peer("ours", o.artifact, "fp32")),
    ]


@contextmanager
def running(entries: list[Entry], options: Options) -> Iterator[tuple[Mapping[str, Worker], list[str]]]:
    """The processes of all rows that can be had, and a note on each that cannot."""
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        notes = []
        for entry in entries:
            options.progress(f"starting {entry.name}")
            try:
                workers[entry.name] = stack.enter_context(start(entry, options))
            except Skipped as reason:
                notes.append(f"Not measured: {entry.name}: {reason}")
        yield workers, notes


def start(entry: Entry, options: Options) -> Worker:
    """One row's process. Raises Skipped."""
    return Worker(replace(entry.make(options), name=entry.name), options.folder("logs"))


def exported(options: Options) -> Path:
    """The graph that torch.onnx writes of the peers' network, made once a base. Raises Skipped."""
    graph = options.folder(f"exported-{_key(options)}") / "model.onnx"
    if not graph.exists():
        unfinished = graph.with_suffix(".unfinished")
        command = [sys.executable, "-m", "benchmarks.peers.export", str(options.base), str(unfinished)]
        done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise Skipped(f"torch.onnx: {(done.stderr.splitlines() or ['it said nothing'])[-1][:200]}")
        unfinished.replace(graph)
    return graph


def _quantized(options: Options) -> Path:
    """The same graph in onnxruntime's own int8. Raises Skipped."""
    from benchmarks.peers.dynamic import dynamic  # onnx takes a second, and few rows need it

    graph = exported(options)
    quantized = graph.with_suffix(".int8.onnx")
    if not quantized.exists():
        dynamic(graph, graph.with_suffix(".unfinished")).replace(quantized)
    return quantized


def _openvino(options: Options, *arguments: object) -> Peer:
    python = own_python(options.venvs / "openvino", OPENVINO)
    graph = exported(options)
    calibration = graph.with_suffix(".calibration.txt")
    calibration.write_text("\n".join(Texts.of(options.artifact).long_tailed(_CALIBRATION_TEXTS)))
    return _peer(python, "openvino_int8", options.base, graph, calibration, *arguments)


def _optimum(options: Options, *arguments: object) -> Peer:
    python = own_python(options.venvs / "optimum", OPTIMUM, beside_ours=True)
    return _peer(python, "optimum_onnx", options.base, options.folder(f"optimum-{_key(options)}"), *arguments)


def _small(options: Options) -> Path:
    if options.small is None:
        raise Skipped("no artifact of it: build one with slipway build -c configs/films.toml, or name it with --small.")
    return options.small


def _key(options: Options) -> str:
    """Short, and another one for another base model."""
    return hashlib.sha256((options.base / "config.json").read_bytes()).hexdigest()[:8]


def main_peer(module: str, *arguments: object) -> Peer:
    """A module of ``benchmarks.peers`` in our own environment."""
    return _peer(_MAIN, module, *arguments)


def _peer(python: Path, module: str, *arguments: object) -> Peer:
    return Peer(name="", python=python, module=module, arguments=[str(argument) for argument in arguments])
