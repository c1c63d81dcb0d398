"""A unigram language model of tokens (Kudo 2018, arXiv:1804.10959), trained the same way every time.

The trainer of ``tokenizers`` sums in the order of a hash table, so that no two of its vocabularies are alike, and it
refuses a vocabulary that is smaller than the alphabet.
"""

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models

Counts = npt.NDArray[np.float64]

_KEPT_A_ROUND = 0.75
_LAST_ROUNDS = 2  # after the last piece went, so that the scores are those of the pieces that stay
_TEXTS_A_BATCH = 1_000
_UNSEEN = 0.5  # occurrences of a piece that occurs nowhere: its logarithm must be finite


def fit_unigram(
    tokenizer: Tokenizer, texts: Sequence[str], *, vocabulary: int, special: Sequence[str], unknown: int
) -> None:
    """Replace the byte-pair model of ``tokenizer`` by a unigram one of at most ``vocabulary`` tokens.

    The merges are where it starts from. Then, in turns, texts are cut into their most likely pieces, the pieces are
    counted anew, and those go whose loss costs the least likelihood. Characters stay. The ``special`` tokens come
    first.
    """
    counts = _merged_counts(tokenizer, texts, special)
    room = vocabulary - len(special)
    rounds_left = _LAST_ROUNDS
    while rounds_left:
        size = max(room, int(_KEPT_A_ROUND * len(counts)))
        rounds_left -= len(counts) <= room
        counts = _prune(counts, size)
        scores = _scores(counts)
        pieces = [(token, 0.0) for token in special] + list(scores.items())
        tokenizer.model = models.Unigram(pieces, unk_id=unknown, byte_fallback=False)
        found = _occurrences(tokenizer, texts, len(pieces))[len(special) :]
        counts = dict(zip(scores, found.tolist(), strict=True))


def _merged_counts(tokenizer: Tokenizer, texts: Sequence[str], special: Sequence[str]) -> dict[str, float]:
    """How often each piece occurs, alone or inside a piece that it was merged into."""
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    found = _occurrences(tokenizer, texts, len(vocabulary))
    for left, right in reversed(model["merges"]):
        whole = found[vocabulary[left + right]]
        found[vocabulary[left]] += whole
        found[vocabulary[right]] += whole
    return {piece: float(found[index]) for piece, index in vocabulary.items() if piece not in special}


def _occurrences(tokenizer: Tokenizer, texts: Sequence[str], tokens: int) -> Counts:
    found = np.zeros(tokens)
    for start in range(0, len(texts), _TEXTS_A_BATCH):
        batch = tokenizer.encode_batch_fast(list(texts[start : start + _TEXTS_A_BATCH]), add_special_tokens=False)
        ids = [token for encoding in batch for token in encoding.ids]
        found += np.bincount(np.array(ids, np.int64), minlength=tokens)
    return found


def _scores(counts: dict[str, float]) -> dict[str, float]:
    """The logarithm of each piece's share, the most likely first, as their ids will be."""
    total = sum(counts.values()) + _UNSEEN
    ordered = sorted(counts, key=lambda piece: (-counts[piece], piece))
    return {piece: float(np.log(max(counts[piece], _UNSEEN) / total)) for piece in ordered}


def _prune(counts: dict[str, float], size: int) -> dict[str, float]:
    """Characters, and of the longer pieces those that are missed most."""
    if len(counts) <= size:
        return counts
    scores = _scores(counts)
    losses = {p: counts[p] * (scores[p] - _score_without(p, scores)) for p in counts if len(p) > 1}
    characters = [piece for piece in counts if len(piece) == 1]
    best = sorted(losses, key=lambda piece: (-losses[piece], piece))[: max(0, size - len(characters))]
    return {piece: counts[piece] for piece in [*characters, *best]}


def _score_without(piece: str, scores: dict[str, float]) -> float:
    """Log-likelihood of the best way to write ``piece`` with shorter ones."""
    best = [0.0] + [-np.inf] * len(piece)
    for end in range(1, len(piece) + 1):
        for start in range(end):
            part = piece[start:end]
            if part != piece and part in scores:
                best[end] = max(best[end], best[start] + scores[part])
    return float(best[-1])
