"""An artifact directory to a predictor, its parts beside one another: a start is what most of this is about.

The weights are hashed while onnxruntime is imported, and the tokenizer is imported and read while onnxruntime opens the
graph; neither needs the interpreter's lock for long. So this module itself imports neither library.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from slipway.artifact import TOKENIZER, Manifest, Variant, model_file, read_manifest, verify_files, weights_file

if TYPE_CHECKING:
    from slipway.encoding import Encoder
    from slipway.network import Device
    from slipway.predictor import Predictor

REPLAY_TOKENS = 32  # golden examples that a function answers again at each cold start

_Made = TypeVar("_Made")


def load_predictor(
    directory: Path,
    variant: Variant | None = None,
    *,
    threads: int = 1,
    replay_tokens: int | None = None,
    device: "Device | None" = None,
    niceness: int = 0,
) -> "Predictor":
    """Open an artifact directory: verify every file it reads, open the session, replay the golden examples.

    ``variant`` is by default the one that the manifest chose for CPUs, ``device`` a CPU. ``replay_tokens`` limits the
    replay, as in ``Predictor.replay_golden``: where a start must be quick and the build has replayed all of them.
    ``niceness`` is that of the threads which do most of it: 10 leaves a processor to whoever answers meanwhile.

    Raises ArtifactError naming the file that is missing, damaged, or answers differently from its manifest;
    ModelUnavailable if there is no such ``device``.
    """
    manifest = read_manifest(directory)
    variant = variant or manifest.serve
    graph = directory / model_file(variant)
    with _beside(partial(verify_files, directory, manifest, (weights_file(variant),)), niceness):
        verify_files(directory, manifest, (TOKENIZER, graph.name))  # before: parsers see only what was built
        from slipway.network import CPU, Network

        opening = partial(Network, graph, pad_id=manifest.pad_id, threads=threads, device=device or CPU)
        with _beside(opening, niceness) as network:
            from slipway.predictor import Predictor

            encoder = _encoder(directory, manifest)
        predictor = Predictor(network(), encoder, manifest)
    predictor.replay_golden(variant, tokens=replay_tokens)
    return predictor


_encoders: "WeakValueDictionary[tuple[str, int], Encoder]" = WeakValueDictionary()


def _encoder(directory: Path, manifest: Manifest) -> "Encoder":
    """The encoder of an artifact, or the one of another version in memory that has the same tokenizer.

    Reading a tokenizer takes 15 ms for 30,000 words in which nothing else in Python runs, a request neither.
    """
    from slipway.encoding import Encoder

    same = (manifest.files[TOKENIZER].sha256, manifest.max_tokens)
    encoder = _encoders.get(same)
    if encoder is None:
        encoder = _encoders[same] = Encoder.load(directory / TOKENIZER, max_tokens=manifest.max_tokens)
    return encoder


@contextmanager
def _beside(make: Callable[[], _Made], niceness: int) -> Iterator[Callable[[], _Made]]:
    """Make something on a thread of its own during the block; what it gives waits for it and returns it.

    An error of it is raised at the end of the block, instead of the block's own: it is why that failed.
    """
    made: list[_Made] = []
    raised: list[Exception] = []

    def run() -> None:
        if niceness:
            with suppress(OSError):  # where a sandbox forbids it, or threads have none of their own
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        try:
            made.append(make())
        except Exception as error:
            raised.append(error)

    def result() -> _Made:
        thread.join()
        return made[0]

    thread = threading.Thread(target=run, name="load")
    thread.start()
    try:
        yield result
    finally:
        thread.join()
        if raised:
            raise raised[0]
