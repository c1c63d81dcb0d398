"""Two sets of counts → how far apart they are, whether that may be chance, and whether it is drift.

The population stability index says how much has changed, whatever the number of texts: Lewis, "An Introduction to
Credit Scoring" (1994) has the rule of thumb that below 0.1 nothing has and above 0.25 much; Siddiqi, "Credit Risk
Scorecards" (2006) made it common. Chance alone gives about (bins - 1) * (1/n + 1/m): Yurdakul and Naranjo,
"Statistical properties of the population stability index", Journal of Risk Model Validation 14(4) (2020). So a small
window has a large index of nothing, and a huge one a significant index that matters to nobody: drift is where both
the index and the test are beyond their bounds.

The test is Pearson's of homogeneity, as baseline and window are both samples, the baseline often the smaller one.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from slipway.drift.bins import STATISTICS, texts_in

PSI = 0.2  # from which a change is worth waking somebody for, if it is none of chance
HOURS = 720  # in a month
FALSE_ALARMS = 0.01  # at most so many a month are chance's: Bonferroni over its windows and the statistics
SIGNIFICANT = FALSE_ALARMS / (HOURS * len(STATISTICS))  # 3.5e-6
FEWEST = 100  # texts of a window: with fewer only a landslide could be told from chance
_EXPECTED = 5.0  # texts in a bin, under which bins are put together: Cochran, Biometrics 10 (1954)
_HALF = 0.5  # a text that an empty bin counts as, so that no logarithm is infinite


class Change(NamedTuple):
    """What became of one statistic. ``p`` is the probability of so much by chance alone."""

    statistic: str
    psi: float
    p: float

    @property
    def drifted(self) -> bool:
        """Whether it is too much and not by chance."""
        return self.psi >= PSI and self.p < SIGNIFICANT


def compare(baseline: Mapping[str, Sequence[int]], window: Mapping[str, Sequence[int]]) -> list[Change]:
    """Each statistic of a window against the baseline; none of a window with too few texts to tell."""
    if texts_in(window) < FEWEST:
        return []
    pairs = ((name, baseline[name], window[name]) for name in STATISTICS)
    return [Change(name, stability_index(a, b), chance(a, b)) for name, a, b in pairs]


def stability_index(expected: Sequence[int], found: Sequence[int]) -> float:
    """The population stability index: the sum over the bins of (q - p) * ln(q / p), with half a text more in each.

    >>> round(stability_index([500, 500], [400, 600]), 3)
    0.04
    """
    n, m = (sum(counts) + _HALF * len(counts) for counts in (expected, found))
    shares = [((a + _HALF) / n, (b + _HALF) / m) for a, b in zip(expected, found, strict=True)]
    return sum((q - p) * math.log(q / p) for p, q in shares)


def chance(expected: Sequence[int], found: Sequence[int]) -> float:
    """The p-value of Pearson's test of homogeneity, after bins with too few texts have been put together.

    >>> round(chance([50, 50], [35, 65]), 4)
    0.0319
    """
    bins = _filled(expected, found)
    n, m = (sum(counts) for counts in zip(*bins, strict=True))
    chi2 = sum(
        (part - (a + b) * whole / (n + m)) ** 2 / ((a + b) * whole / (n + m))
        for a, b in bins
        for part, whole in ((a, n), (b, m))
        if a + b
    )
    return survival(chi2, len(bins) - 1)


def survival(chi2: float, degrees: int) -> float:
    """The probability that chi-square with so many ``degrees`` of freedom is above ``chi2``.

    For whole degrees the incomplete gamma function is a finite sum (Abramowitz and Stegun, 26.4.4 and 26.4.5).

    >>> round(survival(3.841, 1), 3), round(survival(16.919, 9), 3), round(survival(18.307, 10), 3)
    (0.05, 0.05, 0.05)
    """
    half = chi2 / 2
    if degrees < 1 or half <= 0:  # half of the smallest number there is, too
        return 1.0
    odd = degrees % 2
    # Q(s + 1, x) = Q(s, x) + exp(-x) x^s / Gamma(s + 1), from Q(1/2, x) or Q(0, x) on
    total = math.erfc(math.sqrt(half)) if odd else 0.0
    orders = (step + odd / 2 for step in range(degrees // 2))
    return min(1.0, total + sum(math.exp(s * math.log(half) - half - math.lgamma(s + 1)) for s in orders))


def _filled(expected: Sequence[int], found: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of counts; the rarest bins are one, as many of them as leave no bin with fewer than five expected texts."""
    share = min(sum(expected), sum(found)) / (sum(expected) + sum(found))
    rest, kept = (0, 0), []
    for a, b in sorted(zip(expected, found, strict=True), key=sum):
        if min(a + b, sum(rest)) * share < _EXPECTED:
            rest = (rest[0] + a, rest[1] + b)
        else:
            kept.append((a, b))
    return [rest, *kept]
