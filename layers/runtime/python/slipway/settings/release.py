"""The variables of what follows the live version."""

from dataclasses import dataclass

from slipway.settings import Environment


@dataclass(frozen=True, kw_only=True)
class ReleaseSettings(Environment):
    """What a function needs to know that follows the live version."""

    model: str
    model_bucket: str
    trusted_keys: str = ""  # as in ``Settings``


@dataclass(frozen=True, kw_only=True)
class PulseSettings(ReleaseSettings):
    """What the function needs to know that counts the API's requests: CloudWatch's dimensions of them."""

    api_name: str
    api_stage: str


@dataclass(frozen=True, kw_only=True)
class RollSettings(ReleaseSettings):
    """What the function needs to know that rolls the live version out to the GPU endpoints (``slipway.hosting``).

    ``gpu_prefix`` begins the name of everything it makes. What it makes is as the deployment's own, but of another
    version: ``gpu_model``, ``gpu_async_model`` and ``gpu_async_config`` name SageMaker's models and the configuration
    of the deployment. ``gpu_rolling`` and ``gpu_async_rolling`` are SageMaker's ``DeploymentConfig`` in JSON.
    """

    gpu_prefix: str
    gpu_component: str
    gpu_model: str
    gpu_rolling: str
    gpu_async_endpoint: str = ""  # empty if there is none
    gpu_async_model: str = ""
    gpu_async_config: str = ""
    gpu_async_rolling: str = ""
