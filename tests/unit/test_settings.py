"""Settings to environment variables and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import SettingsError
from slipway.settings import Settings, function_memory_mb, function_vcpus

REQUIRED = {"SLIPWAY_MODEL": "demo", "SLIPWAY_MODEL_BUCKET": "bucket"}
_names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", min_size=1)
_seconds = st.floats(0, 1e6)
_counts = st.integers(0, 10**12)


@given(
    st.builds(
        Settings,
        model=_names,
        model_bucket=_names,
        poll_seconds=_seconds,
        stale_seconds=_seconds,
        max_body_bytes=_counts,
        max_instances=_counts,
        max_request_tokens=_counts,
        models=st.lists(_names).map(",".join),
        model_memory_mb=_counts,
    )
)
def test_what_infra_writes_is_what_the_function_reads(settings: Settings) -> None:
    assert Settings.from_env(settings.to_env()) == settings


def test_an_absent_or_empty_optional_variable_takes_its_default() -> None:
    expected = Settings(model="demo", model_bucket="bucket")
    assert Settings.from_env(REQUIRED) == expected
    assert Settings.from_env({**REQUIRED, "SLIPWAY_MAX_INSTANCES": ""}) == expected


def test_other_variables_are_of_no_concern() -> None:
    assert Settings.from_env({**REQUIRED, "SLIPWAY_LATER": "1", "PATH": "/bin"}) == Settings.from_env(REQUIRED)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is not set"):
        Settings.from_env({key: value for key, value in REQUIRED.items() if key != name})


@pytest.mark.parametrize(("name", "raw"), [("SLIPWAY_MAX_INSTANCES", "1e3"), ("SLIPWAY_POLL_SECONDS", "often")])
def test_a_value_of_the_wrong_type_is_named_with_its_variable(name: str, raw: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}='{raw}'"):
        Settings.from_env({**REQUIRED, name: raw})


def test_the_environment_of_the_process_is_the_default_source(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_env().model_bucket == "bucket"


def test_the_defaults_keep_the_promise_of_thirty_seconds_and_the_limits_of_lambda() -> None:
    settings = Settings.from_env(REQUIRED)
    assert settings.poll_seconds < settings.stale_seconds < 30
    assert settings.max_body_bytes < 6_291_556  # Lambda's synchronous payload


@pytest.mark.parametrize(("memory", "vcpus"), [("128", 1), ("1769", 1), ("3537", 1), ("3538", 2), ("10240", 5)])
def test_threads_follow_the_memory(memory: str, vcpus: int) -> None:
    assert function_vcpus({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": memory}) == vcpus


def test_outside_of_lambda_there_is_one_thread() -> None:
    assert function_vcpus({}) == 1
    assert function_memory_mb({}) == 1769


@pytest.mark.parametrize(
    ("models", "names"),
    [
        ("", ["demo"]),
        ("reviews", ["demo", "reviews"]),
        (" reviews ,tickets,", ["demo", "reviews", "tickets"]),
        ("tickets,demo,tickets", ["demo", "tickets"]),
        (",", ["demo"]),
    ],
)
def test_the_default_model_comes_first_and_each_name_once(models: str, names: list[str]) -> None:
    assert Settings.from_env({**REQUIRED, "SLIPWAY_MODELS": models}).model_names() == names
