"""What a batch job costs on AWS, by list prices of us-east-1 for x86, without transfer, storage and KMS."""

import math
from collections.abc import Iterable

from slipway.prices import read_prices

_TRANSITIONS = 8  # of the job itself; a piece has four of its own
_PUTS = 3  # a piece
_ASKED_TRANSITIONS, _ASKED_PUTS = 1, 3  # more where an endpoint was asked: the question, and where its answer belongs


def estimate(work: Iterable[tuple[float, int]], *, asked: int = 0) -> float:
    """US dollars for the functions that scored, the workflow around them and the objects they wrote.

    ``work`` has the seconds of each piece and the MB of its function. ``asked`` pieces were answered by an endpoint:
    two functions had to do with each. What the endpoint's instances cost is not in it.
    """
    prices = read_prices()
    done = list(work)
    compute = sum(_lambda_seconds(seconds, memory_mb) for seconds, memory_mb in done)
    requests, transitions = len(done) + asked + 3, _TRANSITIONS + 4 * len(done) + _ASKED_TRANSITIONS * asked
    puts = _PUTS * (len(done) + 2) + _ASKED_PUTS * asked
    return round(
        compute
        + requests / 1e6 * prices["lambda_million_requests"]
        + transitions / 1e3 * prices["workflow_thousand_transitions"]
        + puts / 1e3 * prices["s3_thousand_puts"],
        6,
    )


def least_texts_for_gpu(
    ms_per_text: float, memory_mb: int, *, instance_hour: float, texts_per_second: float, idle_seconds: float
) -> float:
    """From how many texts on scoring them on one GPU is cheaper than on Lambda; infinite if it never is.

    ``ms_per_text`` is billed time of a function of ``memory_mb``. ``idle_seconds`` are paid for an instance beside its
    work: until it is awake, and after the last text until it is taken away. Workflow and objects are the same in both.

    >>> texts = least_texts_for_gpu(4, 1024, instance_hour=0.72, texts_per_second=4000, idle_seconds=1000)
    >>> round(texts / 1e6, 1)
    12.0
    """
    hour_second = instance_hour / 3600
    saved = _lambda_seconds(ms_per_text / 1e3, memory_mb) - hour_second / texts_per_second
    return idle_seconds * hour_second / saved if saved > 0 else math.inf


def _lambda_seconds(seconds: float, memory_mb: int) -> float:
    return seconds * memory_mb / 1024 * read_prices()["lambda_gb_second_x86_64"]
