"""Where a model is right and where it is not: accuracy by length, by language, and by the columns of the data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from model_build.evaluation.intervals import share_interval

SMALLEST = 10  # texts; smaller slices say nothing and are merged
VALUES = 10
OTHER, MISSING = "other", "missing"
_DETECTED = 5_000  # texts; a tenth of a millisecond each
_SURE = 0.5  # of a language; short texts without a clear one are "und", as in ISO 639


def slices(
    right: npt.NDArray[np.bool_], texts: Sequence[str], tokens: Sequence[int], columns: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Accuracy, with its 95 % interval, by quarter of the length, by detected language, and by each of ``columns``.

    ``right`` has shape (texts,); a column has a value a text. Languages are told where two have at least ten texts.
    """
    by_column = {"length": length_names(tokens), "detected language": language_names(texts), **columns}
    return [row for column, values in by_column.items() for row in _rows(column, values, right)]


def length_names(tokens: Sequence[int]) -> list[str]:
    """The quarter of the texts that each is in, by its length.

    >>> length_names([3, 5, 8, 9])
    ['3 tokens', '5 tokens', '8 tokens', '9 tokens']
    """
    lengths = np.asarray(tokens)
    quarters = np.searchsorted(np.quantile(lengths, [0.25, 0.5, 0.75], method="lower"), lengths)
    names = {}
    for quarter in np.unique(quarters):
        low, high = lengths[quarters == quarter].min(), lengths[quarters == quarter].max()
        names[quarter] = f"{low} to {high} tokens" if low < high else f"{low} tokens"
    return [names[quarter] for quarter in quarters]


def language_names(texts: Sequence[str]) -> list[str]:
    """ISO 639 codes of the first 5,000 texts; nothing where fewer than two languages have ten texts."""
    found = [_identifier().classify(text)[0] for text in texts[:_DETECTED]]
    counts = Counter(found)
    several = sum(counts[language] >= SMALLEST for language in counts if language != "und") >= 2
    return found if several else []


def _rows(column: str, values: Sequence[str], right: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
    """The most frequent values, in the order in which lengths grow or names sort; the others together."""
    named = [value or MISSING for value in values]
    told = {value for value, texts in Counter(named).most_common(VALUES) if texts >= SMALLEST}
    groups: dict[str, list[bool]] = {}
    for value, is_right in zip(named, right.tolist(), strict=False):
        groups.setdefault(value if value in told else OTHER, []).append(is_right)
    return [
        {
            "column": column,
            "value": value,
            "texts": len(group),
            "accuracy": sum(group) / len(group),
            "interval": list(share_interval(sum(group), len(group))),
        }
        for value, group in sorted(groups.items(), key=lambda item: _place(item[0]))
    ]


def _place(value: str) -> tuple[bool, int, str]:
    """Names that start with a number by that number; what was merged, last."""
    number = value.split(maxsplit=1)[0]
    return value == OTHER, int(number) if number.isdecimal() else -1, value


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=_SURE)
