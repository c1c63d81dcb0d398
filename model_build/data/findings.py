"""What cleaning found: the report that a person reads before trusting the data."""

import random
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model_build.data.collection import EXAMPLES, TEXT_SHOWN, Collected, Noticed
from model_build.data.duplicates import REASONS, Duplicates
from model_build.data.near_duplicates import NearDuplicates
from model_build.data.splits import Indices, Split, TextTable
from model_build.data.texts import shown
from model_build.sections import DataConfig

LANGUAGE_TEXTS = 2_000  # a share of 1 % is then known to within half a percent


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Characters of the kept texts: the nine deciles between the shortest and the longest."""

    shortest: int
    deciles: list[int]
    longest: int


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Near-duplicates among the kept texts, before any is dropped.

    ``looked_at`` of ``texts`` were compared; ``grouped`` texts are in ``groups``, of which ``crossing`` are in more
    than one split; ``training_texts`` of those have a near-duplicate in dev or test. ``pairs`` were found at
    ``similarity`` (Jaccard, of character 5-grams) or more; ``examples`` are those that cross splits, then the most
    similar of the others.
    """

    similarity: float
    texts: int
    looked_at: int
    pairs: int
    groups: int
    grouped: int
    crossing: int
    training_texts: int
    examples: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """``dropped`` counts rows by reason, and ``examples`` shows up to ten of those that are the same as others.

    ``mended`` and ``html`` are among all rows. ``languages`` are shares of ``language_texts`` texts, as py3langid
    guesses them: of a short text it is often wrong. ``balance`` counts texts by split and label. Rows are those that
    ``data.where`` keeps, counted from 1 without the header; texts are cut to 120 characters.
    """

    rows: int
    kept: int
    dropped: dict[str, int]
    examples: dict[str, list[dict[str, Any]]]
    mended: Noticed
    html: Noticed
    html_stripped: bool
    languages: dict[str, float]
    language_texts: int
    lengths: Lengths
    balance: dict[str, dict[str, int]]
    near_duplicates: Alike

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON can have it."""
        return asdict(self)


def describe(
    collected: Collected,
    table: TextTable,
    duplicates: Duplicates,
    alike: NearDuplicates,
    *,
    drawn: dict[str, Indices],
    splits: dict[str, Split],
    labels: list[str],
) -> Findings:
    """``drawn`` are the rows of the splits before near-duplicates are dropped, which ``alike`` has looked at."""
    rows = np.concatenate([split.rows for split in splits.values()])
    config = collected.config
    return Findings(
        rows=collected.rows,
        kept=len(rows),
        dropped=dict(sorted(collected.dropped.items())),
        examples=_duplicate_examples(duplicates, collected, table),
        mended=collected.mended,
        html=collected.html,
        html_stripped=config.strip_html,
        languages=_languages(table, rows, config.seed),
        language_texts=min(LANGUAGE_TEXTS, len(rows)),
        lengths=_lengths(collected, rows),
        balance=_balance(splits, labels),
        near_duplicates=_alike(alike, table, drawn, config),
    )


def _duplicate_examples(
    duplicates: Duplicates, collected: Collected, table: TextTable
) -> dict[str, list[dict[str, Any]]]:
    """The first rows that go for each reason, each beside the row it is the same as."""
    names, sets = list(collected.names), collected.sets()

    def describe(row: int, of: int) -> dict[str, Any]:
        return {
            "row": table.number(row),
            "text": shown(table.text(row), TEXT_SHOWN),
            "labels": [shown(names[code]) for code in sets.of(row)],
            "same_as_row": table.number(of),
            "same_as": shown(table.text(of), TEXT_SHOWN),
            "its_labels": [shown(names[code]) for code in sets.of(of)],
        }

    others = duplicates.firsts != duplicates.gone
    found = {
        r: np.flatnonzero((duplicates.reasons == i) & others)[:EXAMPLES]
        for i, r in enumerate(REASONS)
        if i in duplicates.reasons
    }
    pairs = {
        reason: zip(duplicates.gone[places], duplicates.firsts[places], strict=True) for reason, places in found.items()
    }
    return {reason: [describe(int(row), int(first)) for row, first in rows] for reason, rows in pairs.items()}


def _languages(table: TextTable, rows: Indices, seed: int) -> dict[str, float]:
    """Shares of languages (ISO 639) in a sample of at most ``LANGUAGE_TEXTS`` rows, the largest first."""
    import py3langid  # takes a second

    sample = random.Random(seed).sample(range(len(rows)), min(LANGUAGE_TEXTS, len(rows)))  # noqa: S311 - no secret
    guesses = (py3langid.classify(table.text(int(rows[place]))) for place in sample)
    nothing_known = float(np.finfo(np.float32).min)  # the score of a text without a single feature
    counts = Counter("unknown" if score <= nothing_known else language for language, score in guesses)
    return {language: round(count / len(sample), 4) for language, count in counts.most_common()}


def _lengths(collected: Collected, rows: Indices) -> Lengths:
    """Of the texts of these rows."""
    values = np.quantile(collected.lengths()[rows], np.arange(11) / 10, method="nearest").tolist()
    return Lengths(shortest=values[0], deciles=values[1:-1], longest=values[-1])


def _balance(splits: dict[str, Split], labels: list[str]) -> dict[str, dict[str, int]]:
    """How many texts of each split have each label."""
    counts = {
        name: np.bincount(split.sets.flat(split.rows)[1], minlength=len(labels)) for name, split in splits.items()
    }
    return {name: dict(zip(labels, found.tolist(), strict=True)) for name, found in counts.items()}


def _alike(found: NearDuplicates, table: TextTable, drawn: dict[str, Indices], config: DataConfig) -> Alike:
    """Groups, and how they lie across splits; positions in ``found`` are of the splits' rows, one after another."""
    rows = np.concatenate(list(drawn.values()))
    splits = np.repeat(np.arange(len(drawn)), [len(part) for part in drawn.values()])
    sizes = np.bincount(found.groups)
    crossing = found.crossing([len(part) for part in drawn.values()])
    ahead = np.argsort(~(splits[found.pairs[:, 0]] != splits[found.pairs[:, 1]]), kind="stable")[:EXAMPLES]
    names = list(drawn)
    return Alike(
        similarity=config.near_duplicate_similarity,
        texts=len(rows),
        looked_at=found.looked_at,
        pairs=len(found.pairs),
        groups=int((sizes > 1).sum()),
        grouped=int(sizes[sizes > 1].sum()),
        crossing=int(crossing.sum()),
        training_texts=int((crossing[found.groups] & (splits == 0)).sum()),
        examples=[
            {
                "similarity": round(float(found.similarities[pair]), 3),
                "rows": [table.number(int(rows[place])) for place in found.pairs[pair]],
                "texts": [shown(table.text(int(rows[place])), TEXT_SHOWN) for place in found.pairs[pair]],
                "splits": [names[splits[place]] for place in found.pairs[pair]],
            }
            for pair in ahead
        ],
    )
