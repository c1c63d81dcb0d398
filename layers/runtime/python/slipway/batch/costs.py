"""What a batch job costs on AWS, by list prices of us-east-1 for x86, without transfer, storage and KMS."""

import math

from slipway.prices import read_prices

_TRANSITIONS = 8  # of the job itself; a shard has four of its own
_PUTS = 3  # a piece


def estimate(compute_seconds: float, memory_mb: int, *, pieces: int) -> float:
    """US dollars for the functions that scored, the workflow around them and the objects they wrote."""
    prices = read_prices()
    functions = _lambda_seconds(compute_seconds, memory_mb) + (pieces + 3) / 1e6 * prices["lambda_million_requests"]
    workflow = (_TRANSITIONS + 4 * pieces) / 1e3 * prices["workflow_thousand_transitions"]
    return round(functions + workflow + _PUTS * (pieces + 2) / 1e3 * prices["s3_thousand_puts"], 6)


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
