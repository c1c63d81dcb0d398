"""What a request takes on one whole vCPU: measured here with the predictor that functions run, warm, on one thread.

Time of the processor counts: on an idle machine it is the clock's, and on a busy one what neighbours take is not in it.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from slipway.encoding import Encoder
from slipway.errors import BuildError
from slipway.loading import load_predictor
from slipway.predictor import Predictor

# The handler beyond tokenizer, session.run and predictor: docs/benchmarks.md (c), 0.584 - 0.231 ms on 2026-11-26.
OVERHEAD_MS = 0.36
ROUNDS = 5
_CALLS, _LEAST_CALLS = 20, 3  # a round: so many texts or more, in so many requests at least
_TRIED = 400  # places of the words that a text may begin at


@dataclass(frozen=True, kw_only=True)
class Work:
    """One request: ``texts`` of ``tokens`` each, which may be means.

    ``milliseconds`` is what tokenizing and classifying all of them takes on one vCPU, ``overhead_ms`` the rest of the
    handler.
    """

    tokens: int
    texts: float
    milliseconds: float
    overhead_ms: float = OVERHEAD_MS
    clock_ms: float | None = None  # the same by the clock, where it was measured here

    @property
    def ms_per_text(self) -> float:
        return self.milliseconds / self.texts


def measure_here(
    artifact: Path,
    lengths: Sequence[int],
    *,
    texts: int = 1,
    overhead_ms: float = OVERHEAD_MS,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Work]:
    """One ``Work`` a length, the shortest first: medians of ``ROUNDS`` rounds in which lengths take turns.

    A length beyond what the model reads is what it reads. Raises ArtifactError if ``artifact`` is none.
    """
    predictor = load_predictor(artifact)
    words = " ".join(example.text for example in predictor.manifest.golden)
    wanted = sorted({min(length, predictor.manifest.max_tokens) for length in lengths})
    calls = {length: _requests(predictor.encoder, words, length, texts) for length in wanted}
    taken: dict[int, list[tuple[float, float]]] = {length: [] for length in wanted}
    for number in range(ROUNDS + 1):
        progress(f"round {number} of {ROUNDS}")
        for length, requests in calls.items():
            middle = _medians([_milliseconds(predictor, request) for request in requests])
            if number:  # the first round warms up
                taken[length].append(middle)
    return [_work(length, texts, _medians(taken[length]), overhead_ms) for length in wanted]


def texts_of(encoder: Encoder, words: str, tokens: int, count: int) -> list[str]:
    """``count`` texts of exactly ``tokens`` tokens, special ones included, cut out of ``words`` at different places.

    Raises BuildError if no text can have so few tokens.
    """
    room = tokens - (encoder.max_tokens - encoder.room)
    if room < 1:
        least = encoder.max_tokens - encoder.room + 1
        raise BuildError(f"No text has {tokens} tokens.", remedy=f"This model's shortest ones have {least}.")
    tokenizer = encoder.tokenizer
    once = max(1, len(tokenizer.encode(words, add_special_tokens=False).ids))
    whole = " ".join([words] * (2 + math.ceil(room / once)))
    spans = tokenizer.encode(whole, add_special_tokens=False).offsets
    starts = range(min(_TRIED, len(spans) - room))
    cut = [whole[spans[start][0] : spans[start + room - 1][1]] for start in starts]
    fitting = [text for text, found in zip(cut, encoder.encode(cut), strict=True) if found.tokens == tokens]
    if not fitting:
        raise BuildError(f"The golden examples give no text of {tokens} tokens.", remedy="Take other --lengths.")
    return list(islice(cycle(fitting), count))


def _requests(encoder: Encoder, words: str, tokens: int, texts: int) -> list[list[str]]:
    made = texts_of(encoder, words, tokens, texts * max(_LEAST_CALLS, _CALLS // texts))
    return [made[start : start + texts] for start in range(0, len(made), texts)]


def _milliseconds(predictor: Predictor, texts: Sequence[str]) -> tuple[float, float]:
    """Of the processor, and on the clock."""
    clock, processor = time.perf_counter(), time.process_time()
    predictor.predict(texts)
    return 1e3 * (time.process_time() - processor), 1e3 * (time.perf_counter() - clock)


def _medians(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return median(first for first, _ in pairs), median(second for _, second in pairs)


def _work(tokens: int, texts: int, taken: tuple[float, float], overhead_ms: float) -> Work:
    processor, clock = (round(milliseconds, 4) for milliseconds in taken)
    return Work(tokens=tokens, texts=texts, milliseconds=processor, overhead_ms=overhead_ms, clock_ms=clock)
