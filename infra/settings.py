"""The typed arguments of one deployment, read from CDK context: ``cdk deploy -c stage=prod -c model=tickets``.

A stage is a name and a set of arguments, nothing else: the table ``slipway:stages`` in cdk.json holds the arguments
that a stage differs by, and ``-c`` on the command line overrides both it and the defaults below.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

STAGES = "slipway:stages"
AUTH = ("api-key", "iam", "jwt")
GPU = ("off", "scale-to-zero", "always-on")
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 180, 365)  # of the values CloudWatch Logs takes, those a small team asks for
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_STAGE = re.compile(r"[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?")
_FINGERPRINT = re.compile("[0-9a-f]{64}")
# One GPU, so that a copy of the model is an instance; of the families that the AMI with CUDA 13 is for.
_GPU_INSTANCE = re.compile(r"ml\.(g4dn|g5|g6|g6e)\.(2|4|8|16)?xlarge")
_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
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
    max_request_tokens: int = 100_000  # of all texts of a request together, as far as the model reads them
    reserved_concurrency: int | None = None  # None shares the account's pool
    code_canary: bool = True  # new code gets a tenth of the requests for five minutes; never in the local cloud
    code_slow_ms: int = 3_000  # of new code, from which it is taken back
    requests_per_second: float = 50.0
    burst: int = 100
    daily_quota: int = 100_000  # requests of one API key
    log_days: int = 30
    batch_memory_mb: int = 3538  # of a function that scores a shard: two vCPUs
    batch_concurrency: int = 100  # shards that are scored at once
    trusted_keys: str = ""  # fingerprints, by commas: only versions that one of these keys has signed are served
    signing_key: bool = False  # the stage has a key in KMS that signs versions; AWS bills it by the month
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
    auth: str = "api-key"  # or iam, or jwt: what the API asks of its callers (infra/door.py)
    jwt_issuer: str = ""  # whose tokens are taken, as the tokens spell it
    jwt_audience: str = ""  # for whom a token must be; several, separated by commas
    jwt_scope: str = ""  # that a token must have, if any
    waf: bool = False  # a web ACL before the API, for about nine dollars a month
    kms_key: str = "aws"  # AWS's own keys; or own, a key of the stage; or the ARN of a key
    domain_name: str = ""  # of the API, instead of API Gateway's own name; with
    certificate_arn: str = ""  # of ACM, in the API's region
    alarm_email: str = ""  # who is told of alarms; without it they are seen in CloudWatch only
    runbook_url: str = "docs/runbook.md"  # what alarms link to, with the section behind it
    slow_ms: int = 1_000  # milliseconds that 99 % of the requests are to be answered within, or an alarm says so
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
        self._check_door()
        if self.gpu_local and not self.local:
            raise DeploymentError(f"gpu_local={self.gpu_local!r} cannot be deployed: use it in a local stage only.")

    def _check_door(self) -> None:
        for name in ("jwt_issuer", "jwt_audience"):
            if (self.auth == "jwt") != bool(getattr(self, name)):
                remedy = "it with auth=jwt, and with nothing else"
                raise DeploymentError(f"{name}={getattr(self, name)!r} cannot be deployed: use {remedy}.")
        if self.jwt_issuer.startswith("http://") and not self.local:
            raise DeploymentError(f"jwt_issuer={self.jwt_issuer!r} cannot be deployed: use an address as https://….")
        if self.waf and self.local:
            raise DeploymentError(f"waf={self.waf!r} cannot be deployed: use it elsewhere, the local cloud has no WAF.")
        if bool(self.domain_name) != bool(self.certificate_arn):
            remedy = "domain_name and certificate_arn together"
            raise DeploymentError(f"domain_name={self.domain_name!r} cannot be deployed: use {remedy}.")

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
    "trusted_keys": (
        # All of a function's environment is 4 KB, and SageMaker takes variables of 1 KB.
        lambda v: not v or (v.count(",") < 8 and all(map(_FINGERPRINT.fullmatch, v.split(",")))),
        "at most 8 fingerprints as `slipway keys show` prints them, separated by commas alone",
    ),
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
    "auth": (lambda v: v in AUTH, f"one of {', '.join(AUTH)}"),
    "jwt_issuer": (
        lambda v: not v or v.startswith(("https://", "http://127.0.0.1:")),
        "an address as https://issuer.example",
    ),
    "kms_key": (
        lambda v: v in ("aws", "own") or bool(_KEY_ARN.fullmatch(v)),
        "aws, own, or an ARN as arn:aws:kms:eu-central-1:123456789012:key/…",
    ),
    "domain_name": (lambda v: not v or bool(_DOMAIN.fullmatch(v)), "a name as classify.example.com"),
    "certificate_arn": (lambda v: not v or v.startswith("arn:"), "the ARN of a certificate in ACM"),
    "max_request_tokens": _between(1, 10_000_000),
    "reserved_concurrency": _between(1, 1_000),
    "code_slow_ms": _between(100, 29_000),
    "requests_per_second": _between(0.1, 10_000),
    "burst": _between(1, 5_000),
    "daily_quota": _between(1, 1_000_000_000),
    "alarm_email": (lambda v: not v or bool(_EMAIL.fullmatch(v)), "an address as oncall@example.com"),
    "slow_ms": _between(1, 29_000),
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
