"""The functions' environment variables, named once: a field ``model_bucket`` is the variable ``SLIPWAY_MODEL_BUCKET``.

``infra`` writes ``Settings(...).to_env()`` into the template; a function reads ``Settings.from_env()``. Those of the
other functions are in modules of their own: to make a class takes a millisecond of a cold start.
"""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Self

from slipway.errors import SettingsError

PREFIX = "SLIPWAY_"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Fields that are environment variables."""

    def to_env(self) -> dict[str, str]:
        """Every field as an environment variable."""
        return {PREFIX + f.name.upper(): str(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Read the variables; an absent optional one takes its default.

        Raises SettingsError naming the variable that is missing or has the wrong type.
        """
        env = os.environ if env is None else env
        return cls(**{f.name: _read(env, f.name, f.type, f.default) for f in fields(cls)})


@dataclass(frozen=True, kw_only=True)
class Settings(Environment):
    """What a serving function needs to know, and its limits.

    ``max_body_bytes`` stays under Lambda's 6 MB synchronous payload, in which a body is base64. ``max_request_tokens``
    bounds the compute of one request well under API Gateway's 29 s: about 0.1 ms a token on one vCPU.
    """

    model: str
    model_bucket: str
    poll_seconds: float = 10.0  # how often a warm function asks whether live.json changed
    stale_seconds: float = 25.0  # past this, a request waits for the answer: the promise is 30 s
    max_body_bytes: int = 4_400_000
    max_instances: int = 1_000
    max_request_tokens: int = 100_000
    models: str = ""  # further models beside ``model``, separated by commas; each is loaded when it is first asked for
    model_memory_mb: int = 0  # for the files of all models in memory; 0 is half of the function's memory
    data_bucket: str = ""  # where files are uploaded to be scored; empty if nothing scores them
    trusted_keys: str = ""  # fingerprints of keys that a version must be signed with, separated by commas; empty: any
    gpu_endpoint: str = ""  # of SageMaker, for heavy traffic; empty if there is none
    gpu_component: str = ""  # on that endpoint; empty where the endpoint has the model itself
    gpu_seconds: float = 2.0  # that a request waits for the endpoint before the CPU answers it
    gpu_tokens: int = 8_192  # of a request that goes there in light traffic too: about a second of one vCPU
    gpu_enter_rps: float = 1_600.0  # requests a second from which traffic is heavy, and below which it is light again:
    gpu_leave_rps: float = 1_100.0  # around the break-even that `slipway cost` computes

    def model_names(self) -> list[str]:
        """The default model first, then the others, each once."""
        others = (name.strip() for name in self.models.split(","))
        return [*dict.fromkeys([self.model, *filter(None, others)])]


def _read(env: Mapping[str, str], field: str, kind: object, default: object) -> object:
    name = PREFIX + field.upper()
    raw = env.get(name, "")
    if not raw:
        if default is MISSING:
            raise SettingsError(f"The environment variable {name} is not set.", remedy="The CDK app sets it.")
        return default
    try:
        return kind(raw) if callable(kind) else raw
    except ValueError as error:
        raise SettingsError(f"{name}={raw!r} is not a {getattr(kind, '__name__', kind)}.") from error


def service_name(model: str, stage: str) -> str:
    """What tells the metrics and log lines of a deployment from others': their dimension ``service``."""
    return f"{model}-{stage}"


def function_vcpus(env: Mapping[str, str] | None = None) -> int:
    """Whole vCPUs of this function: one at 1,769 MB, more in proportion (AWS Lambda developer guide, "Memory")."""
    return max(1, function_memory_mb(env) // 1769)


def function_memory_mb(env: Mapping[str, str] | None = None) -> int:
    """Memory of this function in MB; outside of Lambda as if it had one vCPU."""
    env = os.environ if env is None else env
    return int(env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"))


def in_lambda_with_credentials(env: Mapping[str, str]) -> bool:
    """Whether this is a Lambda function whose credentials are in its environment.

    Under SnapStart they are not: they come from an endpoint whose address is in AWS_CONTAINER_CREDENTIALS_FULL_URI.
    """
    return "AWS_LAMBDA_FUNCTION_NAME" in env and "AWS_ACCESS_KEY_ID" in env
