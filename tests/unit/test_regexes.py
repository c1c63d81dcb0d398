"""No regular expression of the runtime can be made to think for long: time grows with the input, not faster."""

import ast
import re
import time
from pathlib import Path

import pytest

from functions.predict.routes import ROUTES, _pattern

ROOT = Path(__file__).parents[2]
SOURCES = [*(ROOT / "layers/runtime/python/slipway").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]
CALLS = {"compile", "match", "fullmatch", "search", "sub", "findall", "split"}


def _found() -> list[str]:
    """Every literal that is handed to ``re``, and the pattern of every route; ``NAME`` is one by its name."""
    patterns = {_pattern(path).pattern for _, path, _ in ROUTES}
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
                of_re = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
                if of_re and node.args and isinstance(node.args[0], ast.Constant):
                    patterns.add(node.args[0].value)
    from slipway.batch.state import NAME

    return sorted(patterns | {NAME})


# Each is made long; the last character is what fits nowhere, so that a pattern that can go back does.
_PARTS = (
    "a",
    "-",
    "a-",
    ".",
    "a/",
    "0",
    "1-",
    "-0",
    " ",
    "\t",
    ":",
    "<a",
    "a:",
    "\ud800",
    "%2e",
    "{",
    "aA0._-",
    "/v1/models/",
)
_STARTS = ("", "/v1/models/", "/v2/models/a/versions/", "instances[", "ml.", "20260101T000000Z-", "a")
_ENDS = ("", "!", "\n", "\x00", "-", "]")


@pytest.mark.parametrize("pattern", _found())
def test_hostile_input_takes_time_in_proportion(pattern: str) -> None:
    compiled = re.compile(pattern)
    for start in _STARTS:
        for part in _PARTS:
            for end in _ENDS:
                text = start + part * (4_000 // len(part)) + end
                began = time.process_time()
                compiled.fullmatch(text)
                compiled.match(text)
                took = time.process_time() - began
                assert took < 0.1, f"{pattern!r} thinks {took:.2f} s about {start!r} + {part!r} repeated + {end!r}"


def test_the_list_is_not_empty_and_the_bound_finds_the_classical_mistake() -> None:
    assert len(_found()) >= 15
    began = time.process_time()
    re.fullmatch(r"(a+)+b", "a" * 24 + "!")
    assert time.process_time() - began > 0.1
