"""What is written is read back by the standard library's reader."""

import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_build.tuning.toml_writer import to_toml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=8
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # of a machine that others use as well
@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_everything_comes_back(content: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(content)) == content


def test_it_looks_as_people_write_it() -> None:
    content = {
        "data": {"path": "a.csv", "where": {"source": "x"}},
        "model": "demo",
        "tune": {"space": {"train.epochs": [2, 3], "train.learning_rate": {"low": 1e-05, "log": True}}},
    }
    assert to_toml(content) == (
        'model = "demo"\n\n[data]\npath = "a.csv"\n\n[data.where]\nsource = "x"\n\n[tune]\n\n[tune.space]\n'
        '"train.epochs" = [2, 3]\n"train.learning_rate" = { low = 1e-05, log = true }\n'
    )


@pytest.mark.parametrize("value", [None, object(), {1, 2}])
def test_what_has_no_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no form in TOML"):
        to_toml({"key": value})
