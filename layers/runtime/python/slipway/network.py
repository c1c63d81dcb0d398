"""Token ids to logits. The only user of onnxruntime at serving time.

Texts are sorted by length and packed into micro-batches under a token budget, padded to the longest in the pack, where
the padding costs less than a run of its own would. A pack runs on one thread; several packs run on several threads, so
that a single text pays for no thread pool and a batch uses every vCPU. Nothing a text is packed with changes its
answer: the gates of ``model_build`` hold that.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import onnxruntime as ort

from slipway.errors import ArtifactError, ModelUnavailable
from slipway.probabilities import Logits

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from slipway.encoding import TokenIds  # which imports tokenizers: they come while a session opens

PACK_TOKENS = 512  # 256 to 512 measured fastest (docs/model-log.md): larger packs fall out of the L2 cache
RUN_TOKENS = 8  # what a run costs beside its tokens, counted in tokens (docs/model-log.md)


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

    def logits(self, rows: Sequence["TokenIds"], *, pack_tokens: int | None = None) -> Logits:
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

    def _run(self, batch: "TokenIds") -> Logits:
        try:
            logits: Logits = self._session.run(["logits"], {"input_ids": batch})[0]
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise ArtifactError(f"{self._name} cannot be run by onnxruntime {ort.__version__}: {error}.") from error
        return logits


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


def pad(rows: Sequence["TokenIds"], pad_id: int) -> "TokenIds":
    """Rows of shape (tokens,) to one array of shape (rows, longest), filled up with ``pad_id``."""
    batch = np.full((len(rows), max(map(len, rows))), pad_id, np.int32)
    for target, row in zip(batch, rows, strict=True):
        target[: len(row)] = row
    return batch


def _pool(threads: int) -> "Executor":
    from concurrent.futures import ThreadPoolExecutor  # 8 ms of a cold start that needs none

    return ThreadPoolExecutor(threads, "predict")
