"""Encoded texts to predictions. The only user of onnxruntime at serving time.

Texts are sorted by length and packed into micro-batches under a token budget, padded to the longest in the pack, where
the padding costs less than a run of its own would. A pack runs on one thread; several packs run on several threads, so
that a single text pays for no thread pool and a batch uses every vCPU. Nothing a text is packed with changes its
answer: the gates of ``model_build`` hold that.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import onnxruntime as ort

from slipway.artifact import TOKENIZER, Manifest, Variant, model_file, read_manifest, verify_files, weights_file
from slipway.drift.bins import Bins
from slipway.encoding import Encoded, Encoder, TokenIds
from slipway.errors import ArtifactError, ModelUnavailable
from slipway.probabilities import Logits, Probabilities, calibrate
from slipway.requests import Truncation

if TYPE_CHECKING:
    from concurrent.futures import Executor

PACK_TOKENS = 512  # 256 to 512 measured fastest (docs/model-log.md): larger packs fall out of the L2 cache
RUN_TOKENS = 8  # what a run costs beside its tokens, counted in tokens (docs/model-log.md)
REPLAY_TOKENS = 32  # golden examples that a function answers again at each cold start


class Prediction(NamedTuple):
    """``logits`` and ``probabilities`` have shape (labels,); in a single-label task probabilities sum to 1.

    ``tokens`` counts the whole text, before truncation.
    """

    logits: Logits
    probabilities: Probabilities
    tokens: int
    truncated: bool


class Device(NamedTuple):
    """Where a network runs, and what packs are best there.

    ``provider`` and ``options`` are onnxruntime's; ``run_tokens`` is what a run costs beside its tokens, in tokens.
    """

    name: Literal["cpu", "gpu"]
    provider: str
    pack_tokens: int
    run_tokens: int
    options: Mapping[str, str] = MappingProxyType({})


CPU = Device("cpu", "CPUExecutionProvider", PACK_TOKENS, RUN_TOKENS)
# On an H100 half a millisecond a run beside four to ten million tokens a second, where this budget is the best with two
# batches in flight (docs/model-log.md). Memory is taken as it is needed: by default each extension doubles the arena.
GPU = Device("gpu", "CUDAExecutionProvider", 16_384, 2_048, {"arena_extend_strategy": "kSameAsRequested"})


class Network:
    """A graph, ready to run: token ids to logits. Safe to call from several threads."""

    def __init__(self, path: Path, *, pad_id: int, threads: int = 1, device: Device = CPU) -> None:
        """Raises ArtifactError if onnxruntime cannot open the graph at ``path``, ModelUnavailable without a device."""
        self._name = path.name
        self._session = open_session(path, device)
        self._device = device
        self._pad_id = pad_id
        self._threads = _pool(threads) if threads > 1 else None

    def logits(self, rows: Sequence[TokenIds], *, pack_tokens: int | None = None) -> Logits:
        """Logits of shape (rows, labels), uncalibrated, in the order of ``rows``."""
        if len(rows) == 1:
            return self._run(rows[0][None])
        packs = pack([len(row) for row in rows], pack_tokens or self._device.pack_tokens, self._device.run_tokens)
        batches = (pad([rows[index] for index in indices], self._pad_id) for indices in packs)
        run = map if self._threads is None or len(packs) == 1 else self._threads.map
        packed = np.concatenate(list(run(self._run, batches)))
        logits = np.empty_like(packed)
        logits[np.concatenate(packs)] = packed
        return logits

    def _run(self, batch: TokenIds) -> Logits:
        try:
            logits: Logits = self._session.run(["logits"], {"input_ids": batch})[0]
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise ArtifactError(f"{self._name} cannot be run by onnxruntime {ort.__version__}: {error}.") from error
        return logits


class Predictor:
    """One version of one model, ready to answer. Safe to call from several threads."""

    def __init__(self, network: Network, encoder: Encoder, manifest: Manifest) -> None:
        self.manifest = manifest
        self.encoder = encoder
        self.bins = Bins.of(manifest)
        self._network = network

    def predict(self, texts: Sequence[str], *, truncation: Truncation = "right") -> list[Prediction]:
        """One prediction a text, in order."""
        return self.classify(self.encoder.encode(texts, truncation=truncation))

    def classify(self, encoded: Sequence[Encoded]) -> list[Prediction]:
        """As ``predict``, for texts that are already encoded. The windows of a text count by their mean logits."""
        if not encoded:
            return []
        logits = self._network.logits([window for e in encoded for window in e.windows])
        if len(logits) > len(encoded):
            counts = [len(e.windows) for e in encoded]
            firsts = np.cumsum([0, *counts[:-1]])
            sums = np.add.reduceat(logits, firsts, axis=0)
            logits = (sums / np.array(counts)[:, None]).astype(np.float32)
        probabilities = calibrate(logits, self.manifest.temperature, self.manifest.task)
        rows = zip(logits, probabilities, encoded, strict=True)
        return [Prediction(raw, chances, e.tokens, e.truncated) for raw, chances, e in rows]

    def replay_golden(self, variant: Variant, *, tokens: int | None = None) -> None:
        """Answer the manifest's golden examples again. Raises ArtifactError where an answer differs.

        All of them are encoded; of a number of ``tokens`` only as many of the shortest, at least one, are classified.
        """
        golden, graph = self.manifest.golden, model_file(variant)
        tolerance = self.manifest.tolerances.get(variant)
        if tolerance is None or not all(variant in example.probabilities for example in golden):
            raise self._not_reproduced(graph, "the manifest has none for it")
        encoded = self.encoder.encode([example.text for example in golden])
        if any(e.ids.tolist() != example.token_ids for e, example in zip(encoded, golden, strict=True)):
            raise self._not_reproduced(TOKENIZER, "token ids differ")
        chosen = range(len(golden)) if tokens is None else _shortest([e.cost for e in encoded], tokens)
        answers = np.array([answer.probabilities for answer in self.classify([encoded[index] for index in chosen])])
        expected = np.array([golden[index].probabilities[variant] for index in chosen])
        if answers.shape != expected.shape:
            raise self._not_reproduced(graph, f"it gives {answers.shape[1]} probabilities a text")
        difference = float(np.abs(answers - expected).max())
        if not difference <= tolerance:  # also refuses NaN
            raise self._not_reproduced(graph, f"a probability differs by {difference:.4f}, allowed are {tolerance:.4f}")

    def _not_reproduced(self, name: str, reason: str) -> ArtifactError:
        version = f"{self.manifest.model} {self.manifest.version}"
        return ArtifactError(
            f"{name} of {version} does not reproduce its golden examples: {reason}.",
            remedy="Build the model again on this release of onnxruntime and tokenizers.",
        )


def load_predictor(
    directory: Path,
    variant: Variant | None = None,
    *,
    threads: int = 1,
    replay_tokens: int | None = None,
    device: Device = CPU,
) -> Predictor:
    """Open an artifact directory: verify every file it reads, open the session, replay the golden examples.

    ``variant`` is by default the one that the manifest chose for CPUs. ``replay_tokens`` limits the replay, as in
    ``Predictor.replay_golden``: where a start must be quick and the build has replayed all of them.

    Raises ArtifactError naming the file that is missing, damaged, or answers differently from its manifest;
    ModelUnavailable if there is no such ``device``.
    """
    manifest = read_manifest(directory)
    variant = variant or manifest.serve
    graph = directory / model_file(variant)
    with _beside(partial(verify_files, directory, manifest, (weights_file(variant),))):
        verify_files(directory, manifest, (TOKENIZER, graph.name))  # before: parsers see only what was built
        network = Network(graph, pad_id=manifest.pad_id, threads=threads, device=device)
        encoder = _encoder(directory, manifest)
    predictor = Predictor(network, encoder, manifest)
    predictor.replay_golden(variant, tokens=replay_tokens)
    return predictor


def open_session(path: Path, device: Device = CPU) -> ort.InferenceSession:
    """A session of an already optimized graph, with its weights mapped into memory.

    Optimizing again at load would cost several times the load itself; spinning threads would burn the CPU quota. So
    would planning which tensors share memory, for nothing: tensors are freed and found again in the arena as fast.
    """
    if device.provider not in ort.get_available_providers():
        raise ModelUnavailable(f"This onnxruntime has no {device.provider}.", remedy="Install onnxruntime-gpu.")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_reuse = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(str(path), options, providers=[(device.provider, dict(device.options))])
    except Exception as error:  # onnxruntime's exceptions share no base but Exception
        raise ArtifactError(f"{path.name} cannot be opened by onnxruntime {ort.__version__}: {error}.") from error
    if device.provider not in session.get_providers():  # onnxruntime goes on without it, on the CPU
        raise ModelUnavailable(f"{device.provider} found no device.", remedy="Check the driver: `nvidia-smi`.")
    return session


_encoders: WeakValueDictionary[tuple[str, int], Encoder] = WeakValueDictionary()


def _encoder(directory: Path, manifest: Manifest) -> Encoder:
    """The encoder of an artifact, or the one of another version in memory that has the same tokenizer.

    Reading a tokenizer takes 15 ms for 30,000 words in which nothing else in Python runs, a request neither.
    """
    same = (manifest.files[TOKENIZER].sha256, manifest.max_tokens)
    encoder = _encoders.get(same)
    if encoder is None:
        encoder = _encoders[same] = Encoder.load(directory / TOKENIZER, max_tokens=manifest.max_tokens)
    return encoder


@contextmanager
def _beside(check: Callable[[], None]) -> Iterator[None]:
    """Make a check on a thread of its own during the block. What it raises comes first: it is why the block failed."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            check()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="verify")
    thread.start()
    try:
        yield
    finally:
        thread.join()
        if raised:
            raise raised[0]


def pack(lengths: Sequence[int], budget: int, run_tokens: int = RUN_TOKENS) -> list[list[int]]:
    """Indices of ``lengths``, sorted by length, cut where count times longest would pass ``budget`` padded tokens.

    Also where a text would pad those before it by more than a run costs: that is within 2 % of the best cuts there are
    (docs/model-log.md).

    >>> pack([3, 9, 2, 4, 20], 8)
    [[2, 0], [3], [1], [4]]
    """
    packs: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[index]
        count = len(packs[-1]) if packs else 0
        if count and (count + 1) * length <= budget and count * (length - longest) <= run_tokens:
            packs[-1].append(index)
        else:
            packs.append([index])
        longest = length
    return packs


def pad(rows: Sequence[TokenIds], pad_id: int) -> TokenIds:
    """Rows of shape (tokens,) to one array of shape (rows, longest), filled up with ``pad_id``."""
    batch = np.full((len(rows), max(map(len, rows))), pad_id, np.int32)
    for target, row in zip(batch, rows, strict=True):
        target[: len(row)] = row
    return batch


def _shortest(costs: Sequence[int], budget: int) -> list[int]:
    """Indices of the lowest costs that fit together into ``budget``, at least one.

    >>> _shortest([9, 2, 30, 4], 16)
    [1, 3, 0]
    """
    order = sorted(range(len(costs)), key=costs.__getitem__)
    fitting = np.cumsum([costs[index] for index in order]) <= budget
    return order[: max(1, int(fitting.sum()))]


def _pool(threads: int) -> "Executor":
    from concurrent.futures import ThreadPoolExecutor  # 8 ms of a cold start that needs none

    return ThreadPoolExecutor(threads, "predict")
