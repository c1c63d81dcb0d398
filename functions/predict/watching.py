"""What a request's texts tell of drift, for its one line of log: how many are in each bin, and never a text."""

from collections import Counter
from collections.abc import Sequence

from slipway.answers import Answer
from slipway.drift.bins import STATISTICS, Bins
from slipway.encoding import Encoded


def watched(bins: Bins | None, encoded: Sequence[Encoded], answers: Sequence[Answer]) -> str:
    """``{"labels":{"1":3},…}``: texts by bin, of the bins that have any; empty for a version without a baseline.

    Scores must be probabilities. Abstentions count as their likeliest label: drift is the model's affair, not the
    caller's.
    """
    if bins is None:
        return ""
    pairs = zip(encoded, answers, strict=True)
    try:
        places = [bins.place(*each.scores[0], text) for text, each in pairs]
    except (IndexError, KeyError, TypeError):  # an endpoint's answers with other labels or none: the caller has them
        return ""
    if len(places) == 1:  # a Counter takes a hundredth of a millisecond
        labels, confidence, tokens, unknown = places[0]
        return (
            f'{{"labels":{{"{labels}":1}},"confidence":{{"{confidence}":1}},'
            f'"tokens":{{"{tokens}":1}},"unknown":{{"{unknown}":1}}}}'
        )
    columns = zip(STATISTICS, zip(*places, strict=True), strict=True)
    return "{" + ",".join(f'"{name}":{{{_counted(column)}}}' for name, column in columns) + "}"


def _counted(column: Sequence[int]) -> str:
    return ",".join(f'"{index}":{texts}' for index, texts in Counter(column).items())
