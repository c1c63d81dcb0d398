"""Which words mattered: each is left out once, and the answers are compared with the answer to the whole text.

Occlusion (Zeiler & Fergus 2014, arXiv:1311.2901) works with every network here and needs the session alone. Words are
left out of the token ids, so that nothing else of the text is read differently, and all variants run as one batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from slipway.encoding import Encoded
from slipway.errors import RequestTooLarge
from slipway.predictor import Prediction, Predictor

# Scripts that put no spaces between words: Thai to Myanmar, Khmer, kana, CJK ideographs and their extensions.
_SPACELESS = (
    (0x0E00, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


@dataclass(frozen=True, slots=True)
class Word:
    """``text[start:end]`` in code points. ``weight`` is what the label's probability loses without it, -1 to 1."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """``base`` is the answer to the whole text; ``label`` is the index that the weights are about.

    ``cost`` counts the tokens that were computed.
    """

    base: Prediction
    label: int
    words: list[Word]
    cost: int


def explain(predictor: Predictor, text: str, *, label: int | None = None, max_tokens: int) -> Explanation:
    """Weights for the words that the model sees; ``label`` is by default its answer.

    Raises RequestTooLarge if the variants have more than ``max_tokens`` tokens in all.
    """
    encoder = predictor.encoder
    encoding = encoder.tokenizer.encode(text, add_special_tokens=False)
    ids = encoding.ids[: encoder.room]
    words = list(_words(text, encoding, len(ids)))
    variants = [
        encoder.surround([*ids[: places[0]], *ids[places[-1] + 1 :]])
        for places, _, _ in words
        if len(places) < len(ids)
    ]
    whole = encoder.encode([text])[0]
    if (cost := whole.cost + sum(map(len, variants))) > max_tokens:
        raise RequestTooLarge(
            f"Explaining the text takes {cost:,} tokens, a copy of it for each of its {len(words)} words; "
            f"{max_tokens:,} fit.",
            field="instances",
            remedy="Explain a shorter part of it.",
        )
    base, *without = predictor.classify([whole, *(Encoded((variant,), len(variant)) for variant in variants)])
    about = int(base.probabilities.argmax()) if label is None else label
    if not variants:  # the text is one word: without it there is nothing to compare with
        return Explanation(base, about, [Word(start, end, 0.0) for _, start, end in words], cost)
    weights = [float(base.probabilities[about] - other.probabilities[about]) for other in without]
    found = [Word(start, end, weight) for (_, start, end), weight in zip(words, weights, strict=True)]
    return Explanation(base, about, found, cost)


def _words(text: str, encoding: Any, seen: int) -> Iterator[tuple[list[int], int, int]]:
    """Token places, start and end of each word, without the spaces that some tokenizers count to it."""
    for places in _grouped(text, encoding, seen):
        start, end = encoding.offsets[places[0]][0], encoding.offsets[places[-1]][1]
        part = text[start:end]
        if part.strip():
            yield places, start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


def _grouped(text: str, encoding: Any, seen: int) -> Iterator[list[int]]:
    """Token places by word; in a script without spaces every token is a word.

    Tokens of single bytes, of which several make a character, share that character and so their word.
    """
    spans, words = encoding.offsets, encoding.word_ids
    spaceless = [_is_spaceless(text[start:end]) for start, end in spans[:seen]]
    group: list[int] = []
    for place in range(seen):
        if spans[place][1] <= spans[place][0]:
            continue
        goes_on = group and (spans[place][0] < spans[group[-1]][1] or _belongs(place, group[-1], words, spaceless))
        if group and not goes_on:
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _belongs(place: int, before: int, words: list[int | None], spaceless: list[bool]) -> bool:
    """Whether a token goes on with the word of the one before it."""
    return words[place] == words[before] and not (spaceless[place] or spaceless[before])


def _is_spaceless(part: str) -> bool:
    return any(first <= ord(character) <= last for character in part for first, last in _SPACELESS)
