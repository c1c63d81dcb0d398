"""Texts as token ids in memory-mapped files, made once by several processes and read by every training after that.

    <name>.ids       int32, all ids one after the other
    <name>.offsets   int64, where each text starts, and the end

The offsets are written last: without them there is nothing.
"""

import fcntl
import hashlib
import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO, TypeVar, overload

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from slipway.encoding import Encoder, TokenIds
from slipway.errors import BuildError

Number = TypeVar("Number", bound=np.generic)
Offsets = npt.NDArray[np.int64]
_Chunk = tuple[TokenIds, Offsets]  # ids one after the other, and how many each text has

_CHUNK = 10_000  # texts that a process gets at a time
_WAITING = 2  # chunks for each process that are on their way


class TokenizedTexts(Sequence[TokenIds]):
    """The ids of each text, int32 (tokens,), special tokens included; read from the disk when they are asked for.

    A copy in another process opens the files anew.
    """

    def __init__(self, files: Path) -> None:
        self._files = files

    def __reduce__(self) -> tuple[type["TokenizedTexts"], tuple[Path]]:
        return TokenizedTexts, (self._files,)

    @cached_property
    def lengths(self) -> Offsets:
        """Tokens of each text, int64 (texts,)."""
        return np.diff(self._offsets)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, index: int) -> TokenIds: ...
    @overload
    def __getitem__(self, index: slice) -> list[TokenIds]: ...
    def __getitem__(self, index: int | slice) -> TokenIds | list[TokenIds]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return np.array(self._ids[self._offsets[place] : self._offsets[place + 1]])

    @cached_property
    def _ids(self) -> TokenIds:
        return _map(self._files.with_suffix(".ids"), np.int32)

    @cached_property
    def _offsets(self) -> Offsets:
        return _map(self._files.with_suffix(".offsets"), np.int64)


def tokenize(
    texts: Iterable[str], encoder: Encoder, directory: Path, *, key: str, processes: int, chunk: int = _CHUNK
) -> TokenizedTexts:
    """Token ids as ``Encoder.encode`` gives them, in the order of ``texts``.

    ``key`` says which texts these are: with the same key and encoder, what lies in ``directory`` is taken and ``texts``
    are not looked at. ``processes`` at work hold a few chunks of ``chunk`` texts each. A process that is killed leaves
    only files that the next one overwrites; of two at a time the second waits. Raises BuildError if a process dies or
    ``directory`` cannot be written to.
    """
    files = directory / _name(encoder, key)
    try:
        with _alone(files.with_suffix(".lock")):
            if not _are_complete(files):
                _write(files, _encode(_batched(texts, chunk), encoder, processes))
    except OSError as error:
        raise BuildError(
            f"Token ids cannot be written to {directory}: {error.strerror or error}.",
            remedy="Free some disk, or choose another --out.",
        ) from error
    return TokenizedTexts(files)


def _name(encoder: Encoder, key: str) -> str:
    described = f"{encoder.tokenizer.to_str()}\x1f{encoder.max_tokens}\x1f{key}"
    return hashlib.sha256(described.encode()).hexdigest()[:16]


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock that the system gives back when its holder dies."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _are_complete(files: Path) -> bool:
    ids, offsets = files.with_suffix(".ids"), files.with_suffix(".offsets")
    if not (ids.exists() and offsets.exists()):
        return False
    return ids.stat().st_size == 4 * int(_map(offsets, np.int64)[-1])


def _write(files: Path, chunks: Iterable[_Chunk]) -> None:
    """Ids as they come; the offsets, which say that all is there, when all is there."""
    files.with_suffix(".offsets").unlink(missing_ok=True)
    with _renamed_when_written(files.with_suffix(".ids")) as file:
        lengths = [np.zeros(1, np.int64)]
        for ids, counts in chunks:
            file.write(ids.tobytes())
            lengths.append(counts)
    with _renamed_when_written(files.with_suffix(".offsets")) as file:
        file.write(np.cumsum(np.concatenate(lengths)).tobytes())


@contextmanager
def _renamed_when_written(path: Path) -> Iterator[BinaryIO]:
    partial = path.with_suffix(f"{path.suffix}.partial")
    with partial.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def _map(path: Path, kind: type[Number]) -> npt.NDArray[Number]:
    """The file as an array that is read page by page; the system maps no empty file."""
    return np.memmap(path, kind, mode="r") if path.stat().st_size else np.zeros(0, kind)


def _batched(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(texts)
    while batch := list(itertools.islice(rest, size)):
        yield batch


def _encode(batches: Iterator[list[str]], encoder: Encoder, processes: int) -> Iterator[_Chunk]:
    first = list(itertools.islice(batches, 2))
    batches = itertools.chain(first, batches)
    if processes == 1 or len(first) < 2:  # a process takes a second to start, a chunk less
        return (_encode_chunk(encoder, batch) for batch in batches)
    return _encode_in_processes(batches, encoder, processes)


def _encode_chunk(encoder: Encoder, texts: list[str]) -> _Chunk:
    rows = [encoded.ids for encoded in encoder.encode(texts)]
    return np.concatenate(rows), np.array([len(row) for row in rows], np.int64)


def _encode_in_processes(batches: Iterator[list[str]], encoder: Encoder, processes: int) -> Iterator[_Chunk]:
    """In order, with no more chunks on their way than keep every process busy."""
    arguments = encoder.tokenizer.to_str(), encoder.max_tokens
    context = get_context("spawn")  # a fork would copy threads' locks in whatever state they are
    with ProcessPoolExecutor(processes, context, initializer=_start_worker, initargs=arguments) as pool:
        waiting: deque[Future[_Chunk]] = deque()
        try:
            for batch in batches:
                waiting.append(pool.submit(_encode_in_worker, batch))
                if len(waiting) >= _WAITING * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise BuildError(
                f"One of {processes} processes that tokenize died.",
                remedy="Is there enough memory? Try fewer processes.",
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_worker_encoder: Encoder  # of this process, if it is a worker


def _start_worker(tokenizer: str, max_tokens: int) -> None:
    global _worker_encoder  # noqa: PLW0603 - an initializer has no other way to hand something to the tasks
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism
    _worker_encoder = Encoder(Tokenizer.from_str(tokenizer), max_tokens=max_tokens)


def _encode_in_worker(texts: list[str]) -> _Chunk:
    return _encode_chunk(_worker_encoder, texts)
