"""What a batch job costs on AWS, by list prices of us-east-1 for x86, without transfer, storage and KMS."""

GB_SECOND = 0.0000166667  # Lambda
REQUEST = 0.20 / 1e6  # Lambda
TRANSITION = 0.025 / 1e3  # of a standard workflow
PUT = 0.005 / 1e3  # S3
_TRANSITIONS = 8  # of the job itself; a shard has four of its own
_PUTS = 3  # a piece


def estimate(compute_seconds: float, memory_mb: int, *, pieces: int) -> float:
    """US dollars for the functions that scored, the workflow around them and the objects they wrote."""
    functions = compute_seconds * memory_mb / 1024 * GB_SECOND + (pieces + 3) * REQUEST
    workflow = (_TRANSITIONS + 4 * pieces) * TRANSITION
    return round(functions + workflow + _PUTS * (pieces + 2) * PUT, 6)
