"""The names of what is made for a version."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.hosting import names
from slipway.hosting.names import is_rolled, rolled_name, version_in

_prefixes = st.from_regex(r"[a-z](?:[a-z0-9-]{0,23}[a-z0-9])?", fullmatch=True)
_versions = st.from_regex(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}", fullmatch=True).filter(str.isascii)
_definitions = st.dictionaries(st.text(), st.text())


def test_the_example_holds() -> None:
    assert doctest.testmod(names).failed == 0


@given(_prefixes, _versions, _definitions)
def test_a_name_tells_its_version_and_fits(prefix: str, version: str, definition: dict[str, str]) -> None:
    name = rolled_name(prefix, version, definition)
    assert version_in(name) == version.lower()
    assert is_rolled(prefix, name)
    assert len(name) <= 63
    assert name == name.lower()


@given(_prefixes, _versions, _definitions)
def test_the_order_of_a_definition_is_no_other_definition(
    prefix: str, version: str, definition: dict[str, str]
) -> None:
    turned = dict(reversed(definition.items()))
    assert rolled_name(prefix, version, definition) == rolled_name(prefix, version, turned)


@given(_prefixes, _prefixes, _versions)
def test_another_deployment_s_is_never_ours(ours: str, other: str, version: str) -> None:
    assert is_rolled(ours, rolled_name(f"{ours}-{other}", version, {})) is False


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Model-AbC123",
        "slipway-prod-demo-gpu-model",
        "20261126t101112z-0123456789ab-rabcdef",
        "p-20261126T101112Z-0123456789ab-rabcdef",
        "p-20261126t101112z-0123456789ab-xabcdef",
        "p-20261126t101112z-0123456789ab-rabcdef-2",
    ],
)
def test_any_other_name_has_no_version(name: str) -> None:
    assert version_in(name) == ""
    assert not is_rolled("p", name)


def test_what_a_deployment_made_is_left_to_it() -> None:
    made = "slipway-prod-demo-20261126t101112z-0123456789ab-dabcdef"
    assert version_in(made) == "20261126t101112z-0123456789ab"
    assert not is_rolled("slipway-prod-demo", made)
