"""The variables of the endpoint's container."""

from dataclasses import dataclass

from slipway.settings import Environment


@dataclass(frozen=True, kw_only=True)
class EndpointSettings(Environment):
    """What the endpoint's container needs to know, and its limits.

    ``max_body_bytes`` stays under what SageMaker sends. A request has ``request_seconds``, after SIGTERM what is left
    of ``drain_seconds``: SageMaker kills after 30 s.
    """

    model_directory: str = "/opt/ml/model"  # where SageMaker puts the artifact
    trusted_keys: str = ""  # as in ``Settings``
    device: str = "auto"  # gpu, cpu, or auto: a GPU where there is one
    host: str = "0.0.0.0"  # noqa: S104  # of a container, where a port is published or it is not
    port: int = 8080  # SageMaker's
    grpc_port: int = 8081
    max_body_bytes: int = 5_000_000
    max_instances: int = 1_000
    max_request_tokens: int = 100_000
    batch_tokens: int = 0  # padded tokens of one batch; 0 is the device's own best
    batches_in_flight: int = 2
    batch_wait_ms: float = 0.0  # for a batch to fill; while batches are in flight the next one fills anyway
    queue_tokens: int = 400_000  # that wait; a request beyond is refused with 503
    request_seconds: float = 20.0
    drain_notice_seconds: float = 3.0  # after SIGTERM new requests are still taken, while /ping says 503
    drain_seconds: float = 26.0
