"""Where embeddings start: vectors of tokens that occur together, from labelled and unlabelled texts alike.

Positive pointwise mutual information, factorized (Levy & Goldberg 2014, "Neural word embedding as implicit matrix
factorization"), with the settings that Levy, Goldberg & Dagan 2015 (Transactions of the ACL 3) found best: contexts
smoothed by the power 0.75, and the square roots of the singular values.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import svds

from slipway.encoding import TokenIds

Vectors = npt.NDArray[np.float32]

_WINDOW = 5  # tokens to either side
_SMOOTHING = 0.75
_AT_ONCE = 2_000_000  # tokens whose pairs are counted at a time: bounds the memory


def token_vectors(texts: Iterable[TokenIds], *, vocabulary: int, width: int, seed: int) -> Vectors:
    """Vectors (vocabulary, width) with mean square 1; a token that is in no text has small random ones.

    ``width`` may not be reached with a small vocabulary: the rest of the columns is then zero.
    """
    information = positive_information(count_pairs(texts, vocabulary))
    rank = min(width, vocabulary - 1)
    chooser = np.random.default_rng(seed)
    left, values, _ = svds(information, k=rank, v0=chooser.standard_normal(vocabulary))
    order = np.argsort(-values)
    vectors = np.zeros((vocabulary, width), np.float32)
    vectors[:, :rank] = (left[:, order] * np.sqrt(values[order])) * _signs(left[:, order])
    vectors /= max(float(np.sqrt((vectors**2).mean())), 1e-9)
    unseen = ~vectors.any(axis=1)
    vectors[unseen] = chooser.standard_normal((int(unseen.sum()), width)) * 0.1
    return vectors


def count_pairs(texts: Iterable[TokenIds], vocabulary: int) -> csr_matrix:
    """How often two tokens are within five places of each other, (vocabulary, vocabulary), symmetric."""
    counts = csr_matrix((vocabulary, vocabulary), dtype=np.float64)
    waiting: list[TokenIds] = []
    tokens = 0
    for text in texts:
        waiting.append(text)
        tokens += len(text)
        if tokens >= _AT_ONCE:
            counts, waiting, tokens = counts + _count(waiting, vocabulary), [], 0
    return counts + _count(waiting, vocabulary) if waiting else counts


def positive_information(counts: csr_matrix) -> csr_matrix:
    """max(0, log(P(a, b) / (P(a) P(b)))) where a pair was seen; the contexts' P is smoothed."""
    pairs = counts.tocoo()
    totals = np.asarray(counts.sum(1)).ravel()
    smoothed = totals**_SMOOTHING
    chance = (totals / max(totals.sum(), 1))[pairs.row] * (smoothed / max(smoothed.sum(), 1))[pairs.col]
    information = np.log(pairs.data / max(totals.sum(), 1) / chance)
    kept = information > 0
    return coo_matrix((information[kept], (pairs.row[kept], pairs.col[kept])), shape=counts.shape).tocsr()


def _count(texts: Sequence[TokenIds], vocabulary: int) -> csr_matrix:
    flat = np.concatenate(texts).astype(np.int64)
    text = np.repeat(np.arange(len(texts)), [len(ids) for ids in texts])
    found = csr_matrix((vocabulary, vocabulary), dtype=np.float64)
    for distance in range(1, _WINDOW + 1):
        same = text[distance:] == text[:-distance]
        first, second = flat[:-distance][same], flat[distance:][same]
        ones = np.ones(len(first))
        found = found + coo_matrix((ones, (first, second)), shape=found.shape).tocsr()
    return found + found.T


def _signs(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A factorization leaves each column's sign open: the largest entry is made positive, so that runs agree."""
    largest = np.abs(vectors).argmax(0)
    signs: npt.NDArray[np.float64] = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return signs
