"""How likely it is that so many of so many happened by accident: the exact binomial tail."""

import math


def chance_of(k: int, n: int, part: float) -> float:
    """The probability that of ``n`` requests ``k`` or more have what a ``part`` of all requests has.

    Exact where ``k`` is more than expected; 1 where it is not, since nobody asks.

    >>> chance_of(3, 3, 0.1) == 0.1 ** 3, round(chance_of(5, 10, 0.25), 4), chance_of(0, 10, 0.5)
    (True, 0.0781, 1.0)
    """
    if k <= n * part:
        return 1.0
    if part <= 0:
        return 0.0
    term = total = math.exp(
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(part)
        + (n - k) * math.log1p(-part)
    )
    for i in range(k, n):  # each next term is smaller: k is above the mean
        term *= (n - i) / (i + 1) * part / (1 - part)
        total += term
        if term < total * 1e-12:
            break
    return min(total, 1.0)
