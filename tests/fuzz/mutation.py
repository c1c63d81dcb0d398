"""Random changes of good inputs: what is used where atheris is not installed, and in the short test."""

import random

_HOSTILE = (
    b"NaN", b"-Infinity", b"1e999", b"9" * 5_000, b"[" * 3_000, b'{"a":' * 3_000, b"\\ud800", b"\xff\xfe", b"\x00",
    b"../", b"..%2f", b"%00", b"null", b"true", b'""', b"[]", b"{}", b"-0.0", b"\xe2\x80\xa8", b'"' * 99, b"\r",
)  # fmt: skip


def mutated(chooser: random.Random, seeds: list[bytes]) -> bytes:
    """One of the seeds after one to six changes."""
    data = chooser.choice(seeds)
    for _ in range(chooser.randint(1, 6)):
        at, end = sorted(chooser.randrange(len(data) + 1) for _ in range(2))
        match chooser.randrange(6):
            case 0:
                data = data[:at] + chooser.choice(_HOSTILE) + data[at:]
            case 1:
                data = data[:at] + chooser.choice(_HOSTILE) + data[end:]
            case 2:
                data = data[:at] + data[end:]
            case 3:
                data = data[:at] + chooser.randbytes(chooser.randint(1, 8)) + data[at:]
            case 4:
                data = data[:at] + bytes([chooser.randrange(256)]) + data[at + 1 :]
            case _:
                data = data[:at] + data[at:end] * 2 + data[end:]
    return data
