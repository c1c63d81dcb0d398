"""An artifact directory to a predictor, its parts beside one another: a start is what most of this is about.

The weights are hashed while onnxruntime is imported, and the tokenizer is imported, read and tried while onnxruntime
opens the graph; neither needs the interpreter's lock for long. So this module itself imports neither library.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from slipway.artifact import TOKENIZER, VOCABULARY, Manifest, Variant, model_file, read_manifest, verify_files
from slipway.beside import beside

if TYPE_CHECKING:
    from slipway.encoding import Encoder
    from slipway.network import Device
    from slipway.predictor import Predictor

REPLAY_TOKENS = 16  # of golden examples that a function answers again at each cold start: one text or two


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
    *parsed, weights = manifest.serving_files(variant)
    with beside(partial(verify_files, directory, manifest, (weights,)), niceness):
        verify_files(directory, manifest, parsed)  # before: parsers see only what was built
        from slipway.network import CPU, Network

        opening = partial(Network, graph, pad_id=manifest.pad_id, threads=threads, device=device or CPU)
        with beside(opening, niceness) as network:
            from slipway.predictor import Predictor, encode_golden

            encoder = _encoder(directory, manifest)
            golden = encode_golden(encoder, manifest)
        predictor = Predictor(network(), encoder, manifest)
    predictor.replay_golden(variant, tokens=replay_tokens, encoded=golden)
    return predictor


_encoders: "WeakValueDictionary[tuple[str, ...], Encoder]" = WeakValueDictionary()


def _encoder(directory: Path, manifest: Manifest) -> "Encoder":
    """The encoder of an artifact, or the one of another version in memory that has the same tokenizer.

    Reading a tokenizer takes 9 ms for 30,000 words in which nothing else in Python runs, a request neither.
    """
    from slipway.encoding import Encoder

    names = [name for name in (TOKENIZER, VOCABULARY) if name in manifest.files]
    same = (str(manifest.max_tokens), *(manifest.files[name].sha256 for name in names))
    encoder = _encoders.get(same)
    if encoder is None:
        words = directory / VOCABULARY if VOCABULARY in names else None
        encoder = _encoders[same] = Encoder.load(directory / TOKENIZER, max_tokens=manifest.max_tokens, words=words)
    return encoder
