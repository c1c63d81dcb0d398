from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from slipway.settings.endpoint import EndpointSettings

_values = {int: st.integers(0, 10**12), float: st.floats(0, 1e6), str: st.text("abc/.-0", min_size=1)}


@given(st.fixed_dictionaries({f.name: _values[f.type] for f in fields(EndpointSettings)}))
def test_what_infra_writes_is_what_the_container_reads(values: dict[str, object]) -> None:
    settings = EndpointSettings(**values)  # type: ignore[arg-type]
    assert EndpointSettings.from_env(settings.to_env()) == settings


def test_an_empty_environment_is_sagemakers() -> None:
    settings = EndpointSettings.from_env({})
    assert (settings.port, settings.model_directory) == (8080, "/opt/ml/model")
    assert settings.request_seconds < 60  # SageMaker's own limit of a request
    assert settings.drain_seconds < 30  # it kills then
    assert settings.max_body_bytes <= 5_000_000
    assert settings.max_request_tokens <= settings.queue_tokens
