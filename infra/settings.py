"""The typed arguments of one deployment, read from CDK context: ``cdk deploy -c stage=prod -c model=tickets``.

A stage is a name and a set of arguments, nothing else: the table ``slipway:stages`` in cdk.json holds the arguments
that a stage differs by, and ``-c`` on the command line overrides both it and the defaults below.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

STAGES = "slipway:stages"
GPU = ("off", "scale-to-zero", "always-on")
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 180, 365)  # of the values CloudWatch Logs takes, those a small team asks for
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_STAGE = re.compile(r"[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?")
# One GPU, so that a copy of the model is an instance; of the families that the AMI with CUDA 13 is for.
_GPU_INSTANCE = re.compile(r"ml\.(g4dn|g5|g6|g6e)\.(2|4|8|16)?xlarge")
# CDK's own context keys all hold one of ":", "@", "/" or "-", so a plain word that is no argument is a misspelt one.
_PLAIN_WORD = re.compile(r"[A-Za-z_]+")


class DeploymentError(Exception):
    """An argument of the deployment cannot be used; the message names its value and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What one stage of one model is deployed with. The defaults are safe for production."""

    stage: str = "dev"
    model: str = "demo"
    models: str = ""  # further models that the same API answers for, separated by commas
    local: bool = False  # functions run in this machine's interpreter instead of an image: the local cloud
    retain: bool = True  # deleting the stack keeps the bucket with its models, and the logs
    memory_mb: int = 1769  # one whole vCPU
    snap_start: bool = True  # AWS bills a Python function's cached snapshot by the hour: False costs nothing at rest
    reserved_concurrency: int | None = None  # None shares the account's pool
    requests_per_second: float = 50.0
    burst: int = 100
    daily_quota: int = 100_000  # requests of one API key
    log_days: int = 30
    batch_memory_mb: int = 3538  # of a function that scores a shard: two vCPUs
    batch_concurrency: int = 100  # shards that are scored at once
    spark_max_vcpus: int = 0  # of the Spark application, for terabytes: 0 is none
    gpu: str = "off"  # or scale-to-zero, or always-on: an endpoint with a GPU, for heavy traffic
    gpu_instance: str = "ml.g6.xlarge"  # one GPU; the L4 costs less than the A10G of g5, and both run fp16 natively
    gpu_max_instances: int = 2  # that traffic may start; an update has up to half as many more while it lasts
    gpu_min_instances: int = 0  # that never stop: 1 where a region refuses 0; always-on has one at least
    gpu_enter_rps: float = 1_600.0  # requests a second from which all go to the GPU, and below which they come back:
    gpu_leave_rps: float = 1_100.0  # around what `slipway cost` says of the demo's model and gpu_instance
    gpu_local: str = ""  # in the local cloud, the address of a process that stands for the endpoint
    gpu_async: bool = False  # a second endpoint, for requests in files; it stops when it has nothing to do
    gpu_batch_texts: int = 3_000_000  # rows of a file from which that endpoint scores it: there it is cheaper
    account_logs_role: bool = True  # API Gateway has one role for its logs per account and region: False if it's there

    def __post_init__(self) -> None:
        for name, (holds, remedy) in _RULES.items():
            if not holds(getattr(self, name)):
                raise DeploymentError(f"{name}={getattr(self, name)!r} cannot be deployed: use {remedy}.")
        if self.gpu_min_instances > self.gpu_max_instances:
            remedy = f"at most gpu_max_instances, {self.gpu_max_instances}"
            raise DeploymentError(f"gpu_min_instances={self.gpu_min_instances!r} cannot be deployed: use {remedy}.")
        if self.gpu_leave_rps > self.gpu_enter_rps:
            remedy = f"at most gpu_enter_rps, {self.gpu_enter_rps:g}"
            raise DeploymentError(f"gpu_leave_rps={self.gpu_leave_rps!r} cannot be deployed: use {remedy}.")
        if self.gpu_local and not self.local:
            raise DeploymentError(f"gpu_local={self.gpu_local!r} cannot be deployed: use it in a local stage only.")

    @property
    def has_gpu(self) -> bool:
        """Whether there is a GPU endpoint: the local cloud has no SageMaker."""
        return self.gpu != "off" and not self.local

    @property
    def batches_on_gpu(self) -> bool:
        """Whether large files are scored by the asynchronous endpoint, or by what stands for it in the local cloud."""
        return self.gpu_async and (self.has_gpu or bool(self.gpu_local))

    @property
    def gpu_minimum(self) -> int:
        """Instances, each with a copy of the model, that the endpoint keeps."""
        return max(1, self.gpu_min_instances) if self.gpu == "always-on" else self.gpu_min_instances

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> "Deployment":
        """Read the arguments: ``-c``, then the stage's row of the table, then the defaults.

        Raises DeploymentError naming the first argument that is unknown, of the wrong type or out of range.
        """
        types = get_type_hints(cls)
        given = {key: value for key, value in context.items() if _PLAIN_WORD.fullmatch(key)}
        row = context.get(STAGES, {}).get(given.get("stage", cls.stage), {})
        merged = {**row, **given}
        if unknown := [name for name in merged if name not in types]:
            raise DeploymentError(f"{unknown[0]!r} is no argument of a deployment: use one of {', '.join(types)}.")
        return cls(**{name: _read(name, value, types[name]) for name, value in merged.items()})


def _between(low: float, high: float) -> tuple[Callable[[float | None], bool], str]:
    return lambda value: value is None or low <= value <= high, f"a value from {low:,} to {high:,}"


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "stage": (lambda v: bool(_STAGE.fullmatch(v)), "a letter, then at most 19 of a-z, 0-9 and '-', not ending in '-'"),
    "model": (lambda v: bool(_NAME.fullmatch(v)), "1 to 63 of a-z, 0-9 and inner '-'"),
    "models": (
        lambda v: all(_NAME.fullmatch(name.strip()) for name in v.split(",") if v),
        "names of models, separated by commas",
    ),
    "memory_mb": _between(512, 10_240),
    "batch_memory_mb": _between(1_769, 10_240),
    "batch_concurrency": _between(1, 10_000),
    "spark_max_vcpus": (lambda v: v == 0 or 6 <= v <= 10_000, "0, or from 6 (a driver and one worker) to 10,000"),
    "gpu": (lambda v: v in GPU, f"one of {', '.join(GPU)}"),
    "gpu_instance": (
        lambda v: bool(_GPU_INSTANCE.fullmatch(v)),
        "ml.g4dn, ml.g5, ml.g6 or ml.g6e in a size with one GPU, such as ml.g6.xlarge",
    ),
    "gpu_max_instances": _between(1, 100),
    "gpu_min_instances": _between(0, 100),
    "gpu_enter_rps": _between(0.1, 1_000_000),
    "gpu_leave_rps": _between(0.1, 1_000_000),
    "gpu_batch_texts": _between(1, 1_000_000_000_000),
    "gpu_local": (lambda v: not v or v.startswith("http://127.0.0.1:"), "an address as http://127.0.0.1:8080"),
    "reserved_concurrency": _between(1, 1_000),
    "requests_per_second": _between(0.1, 10_000),
    "burst": _between(1, 5_000),
    "daily_quota": _between(1, 1_000_000_000),
    "log_days": (lambda v: v in LOG_DAYS, f"one of {', '.join(map(str, LOG_DAYS))}"),
}


def _read(name: str, value: Any, kind: Any) -> Any:
    """``-c`` brings strings and cdk.json brings JSON: both become the field's type."""
    optional = kind == (int | None)
    text = str(value).lower()
    if optional and text in ("none", ""):
        return None
    if kind is bool:
        if text not in ("true", "false"):
            raise DeploymentError(f"{name}={value!r} cannot be deployed: use true or false.")
        return text == "true"
    try:
        return (int if optional else kind)(str(value))
    except ValueError as error:
        raise DeploymentError(f"{name}={value!r} cannot be deployed: use a number.") from error
