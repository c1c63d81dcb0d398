"""From which rate of requests on a GPU is cheaper than Lambda. Arithmetic only: the router asks at every request.

Behind the router a request that a GPU answers still passes API Gateway and the function, and the function is paid for
while it waits. What a GPU saves is the rest of the function's time; what it costs is its hours, used or not.
"""

import math
from dataclasses import dataclass

ENTER, LEAVE = 1.2, 0.8  # of the break-even rate: between them the mode stays as it is, or it would flutter


def compute_cost(milliseconds: float, memory_mb: int, gb_second: float) -> float:
    """US dollars for the time of one invocation, which Lambda bills by whole milliseconds.

    >>> round(compute_cost(7.2, 1024, 0.0000166667) * 1e6, 4)  # 8 ms of 1 GB, a million times
    0.1333
    """
    return billed(milliseconds) / 1e3 * memory_mb / 1024 * gb_second


def billed(milliseconds: float) -> int:
    """Whole milliseconds, rounded up; what floating point adds (0.29 * 100 is 28.999999999999996) does not count.

    >>> billed(7.0000000001), billed(7.2)
    (7, 8)
    """
    return math.ceil(round(milliseconds, 6))


def break_even_rps(
    instance_hour: float, saved_per_request: float, *, capacity_rps: float = math.inf, instances: int = 1
) -> float:
    """Requests a second from which ``instances`` GPUs cost what they save; infinite if they never do.

    ``instance_hour`` is dollars for an hour of one; ``saved_per_request`` dollars that Lambda then does not take for a
    request; ``capacity_rps`` what one instance answers at the utilisation that is planned with. Beyond the capacity a
    further instance is needed, which pays from its own break-even on.

    >>> round(break_even_rps(0.72, 0.000002), 6), break_even_rps(0.72, 0.000002, capacity_rps=99)
    (100.0, inf)
    """
    if saved_per_request <= 0:
        return math.inf
    rate = instance_hour / 3600 / saved_per_request
    return instances * rate if rate <= capacity_rps else math.inf


def instances_needed(rps: float, capacity_rps: float) -> int:
    """Instances that carry ``rps`` requests a second; one is there even if nothing comes.

    >>> instances_needed(0, 50), instances_needed(100, 50), instances_needed(100.1, 50)
    (1, 2, 3)
    """
    return max(1, math.ceil(round(rps / capacity_rps, 9)))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Requests a second at which heavy mode is entered and left."""

    enter: float
    leave: float

    @classmethod
    def around(cls, break_even: float) -> "Thresholds":
        """A margin on both sides of the break-even rate.

        >>> Thresholds.around(100.0)
        Thresholds(enter=120.0, leave=80.0)
        """
        return cls(enter=ENTER * break_even, leave=LEAVE * break_even)

    def heavy(self, rps: float, *, before: bool) -> bool:
        """Whether the mode is heavy at ``rps`` requests a second; ``before`` is what it was.

        >>> [Thresholds(120, 80).heavy(rps, before=True) for rps in (79, 80, 100)]
        [False, True, True]
        """
        return rps >= self.leave if before else rps >= self.enter
