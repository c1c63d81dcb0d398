"""One root, one tree, and it is the tree that the module's docstring draws."""

import re

import pytest

from slipway import errors
from slipway.errors import InvalidRequest, SlipwayError


def _tree(kind: type[SlipwayError]) -> dict[str, str]:
    """Every class below ``kind`` with the name of its parent."""
    found: dict[str, str] = {}
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            found |= {child.__name__: kind.__name__, **_tree(child)}
    return found


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    drawn: dict[str, str] = {}
    parents = ["SlipwayError"]
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ([│ ]*)[├└]── (\w+)", line):
            depth = len(match[1]) // 4 + 1
            parents[depth:] = [match[2]]
            drawn[match[2]] = parents[depth - 1]
    assert drawn == _tree(SlipwayError)


def test_every_exception_of_the_module_is_in_the_tree() -> None:
    classes = {n for n, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert classes == {"SlipwayError", *_tree(SlipwayError)}


@pytest.mark.parametrize(("remedy", "said"), [("Do that.", "It broke. Do that."), ("", "It broke.")])
def test_an_error_says_what_is_wrong_and_then_the_remedy(remedy: str, said: str) -> None:
    assert str(SlipwayError("It broke.", remedy=remedy)) == said


def test_a_request_error_knows_its_field() -> None:
    error = InvalidRequest("It is wrong.", field="instances[3]", remedy="Mend it.")
    assert (error.field, error.detail, error.remedy) == ("instances[3]", "It is wrong.", "Mend it.")
