"""Texts that are almost the same: MinHash of character 5-grams, then the true similarity.

    text ── normalize ──▶ set of 5-grams ── 64 hashes ──▶ bands ── the same in a band ──▶ pairs ── Jaccard ──▶ groups

MinHash and its bands after Broder 1997 (doi:10.1109/SEQUEN.1997.666900) and Leskovec, Rajaraman and Ullman, Mining of
Massive Datasets, chapter 3. What is kept of a text is 64 bytes at the default similarity, at most 256.

Cost, on one core at 2.5 GHz: 15 µs a sentence of 100 characters, and 45 µs a pair that looks alike. 10 million texts
would take three minutes and up to 2.5 GB, so at most ``TEXTS`` are looked at, drawn by the seed, and at most ``PAIRS``
compared, the likeliest first; the findings say how many texts were.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from model_build.data.splits import Indices
from model_build.data.texts import normalize

TEXTS = 1_000_000
PAIRS = 1_000_000
_SHINGLE = 5  # characters
_HASHES = 64
_MISSED = 0.01  # of the pairs that are just as similar as asked for
_CHUNK = 1 << 16  # characters hashed at a time: they fit the cache
_Hashes = npt.NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True)
class NearDuplicates:
    """``pairs`` (pairs, 2) are positions of texts with their ``similarities`` (pairs,), the most similar first.

    ``groups`` (texts,) numbers what pairs join; alone, a text has a number of its own. Of a large group not every pair
    is in ``pairs``, though each member is in one. ``looked_at`` of the texts were compared.
    """

    looked_at: int
    pairs: Indices
    similarities: npt.NDArray[np.float64]
    groups: Indices

    def crossing(self, sizes: Sequence[int]) -> npt.NDArray[np.bool_]:
        """For each group whether it is in more than one split, if the texts are splits of these sizes in a row."""
        splits = np.repeat(np.arange(len(sizes)), sizes)
        groups = int(self.groups.max(initial=-1)) + 1
        lowest, highest = np.full(groups, len(sizes)), np.full(groups, -1)
        np.minimum.at(lowest, self.groups, splits)
        np.maximum.at(highest, self.groups, splits)
        return lowest < highest


def find_near_duplicates(
    text: Callable[[int], str], texts: int, *, similarity: float, seed: int, limit: int = TEXTS
) -> NearDuplicates:
    """Pairs among ``text(0)`` … ``text(texts - 1)`` whose 5-grams have a Jaccard similarity of at least that."""
    looked_at = np.arange(texts)
    if texts > limit:
        looked_at = np.sort(np.random.default_rng(seed).choice(texts, limit, replace=False))
    bands = _bands((normalize(text(int(place))) for place in looked_at), len(looked_at), similarity)
    candidates = looked_at[_candidates(bands)]
    similarities = np.array([_similarity(text(int(one)), text(int(other))) for one, other in candidates])
    order = np.argsort(-similarities, kind="stable")
    order = order[similarities[order] >= similarity]
    pairs = candidates[order]
    joined = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(texts, texts))
    groups = connected_components(joined, directed=False)[1].astype(np.int64)
    return NearDuplicates(looked_at=len(looked_at), pairs=pairs, similarities=similarities[order], groups=groups)


def _bands(forms: Iterator[str], texts: int, similarity: float) -> _Hashes:
    """A hash for each band of each text's MinHash, (bands, texts)."""
    rows = _rows_per_band(similarity)
    bands = np.empty((_HASHES // rows, texts), np.uint32)
    chooser = np.random.default_rng(0)
    factors = chooser.integers(0, 2**31, _HASHES, np.uint32) * np.uint32(2) + np.uint32(1)  # odd: nothing is merged
    masks = chooser.integers(0, 2**32, _HASHES, np.uint32)
    done = 0
    for chunk in _chunks(forms):
        hashes, starts = _shingles(chunk)
        for band in range(len(bands)):
            mixed = np.zeros(len(chunk), np.uint32)
            for place in range(band * rows, (band + 1) * rows):
                lowest = np.minimum.reduceat((hashes * factors[place]) ^ masks[place], starts)
                mixed = (mixed ^ (mixed >> np.uint32(15)) ^ lowest) * np.uint32(0x9E3779B1)
            bands[band, done : done + len(chunk)] = mixed
        done += len(chunk)
    return bands


def _rows_per_band(similarity: float) -> int:
    """As many as miss no more than ``_MISSED``: fewer chance pairs need to be compared.

    >>> _rows_per_band(0.8), _rows_per_band(0.5), _rows_per_band(1.0)
    (4, 2, 8)
    """
    enough = [rows for rows in (8, 4, 2) if (1 - similarity**rows) ** (_HASHES // rows) <= _MISSED]
    return enough[0] if enough else 1


def _chunks(forms: Iterator[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    characters = 0
    for form in forms:
        chunk.append(form.ljust(_SHINGLE, "\0"))  # a shorter one is one shingle, its own
        characters += len(form)
        if characters >= _CHUNK:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _shingles(forms: list[str]) -> tuple[_Hashes, Indices]:
    """32-bit hashes of all shingles of all forms, in order, and where each form's begin."""
    codes = np.frombuffer("".join(forms).encode("utf-32-le"), np.uint32).astype(np.uint64)
    ends = np.cumsum([len(form) for form in forms])
    windows = len(codes) - _SHINGLE + 1
    mixed = np.zeros(windows, np.uint64)
    for place in range(_SHINGLE):
        mixed = (mixed ^ codes[place : place + windows]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    whole = np.ones(len(codes), bool)
    whole[(ends[:, None] - np.arange(1, _SHINGLE)).ravel()] = False  # those that would run into the next form
    starts = np.concatenate([[0], ends[:-1] - (_SHINGLE - 1) * np.arange(1, len(forms))])
    return (mixed[whole[:windows]] >> np.uint64(32)).astype(np.uint32), starts


def _candidates(bands: _Hashes) -> Indices:
    """Pairs of texts that are the same in a band, (pairs, 2).

    Each text comes with the first of its kind and with the one before it: that joins a thousand of a kind with two
    thousand comparisons, not with half a million.
    """
    found = np.zeros(0, np.int64)
    counts = np.zeros(0, np.int64)
    texts = bands.shape[1]
    for band in bands:
        order = np.argsort(band, kind="stable")
        same = np.concatenate([[False], band[order[1:]] == band[order[:-1]]])[:texts]
        places = np.flatnonzero(same)
        first = np.maximum.accumulate(np.where(same, 0, np.arange(texts)))[places]
        pairs = np.union1d(order[first] * texts + order[places], order[places - 1] * texts + order[places])
        found, inverse = np.unique(np.concatenate([found, pairs]), return_inverse=True)
        counts = np.bincount(inverse, np.concatenate([counts, np.ones(len(pairs))])).astype(np.int64)
    likeliest = np.sort(np.argsort(-counts, kind="stable")[:PAIRS])
    return np.stack(np.divmod(found[likeliest], max(texts, 1)), axis=1)


def _similarity(one: str, other: str) -> float:
    """Jaccard similarity of the sets of shingles.

    >>> _similarity("a good film", "A good film!"), _similarity("a good film", "a good play")
    (1.0, 0.2)
    """
    first, second = _shingle_set(one), _shingle_set(other)
    return len(first & second) / len(first | second)


def _shingle_set(text: str) -> set[str]:
    form = normalize(text)
    return {form[place : place + _SHINGLE] for place in range(max(1, len(form) - _SHINGLE + 1))}
