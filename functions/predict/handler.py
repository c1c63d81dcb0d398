"""API Gateway event → prediction. What is slow happens here once, at init, where SnapStart takes its snapshot.

The garbage collector sleeps meanwhile: what is imported and loaded stays, and looking for garbage in it took a tenth of
a cold start. Afterwards it passes over all of that.
"""
# ruff: noqa: E402  the other imports run without the collector

import gc

gc.disable()

import time

_started = time.perf_counter()

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapshot_restore_py import register_after_restore

from functions.predict.live import START_WAIT
from functions.predict.models import Models
from functions.predict.scratch import Scratch
from functions.predict.telemetry import begin, logger, record_cold_start, record_shadow
from slipway.errors import ModelUnavailable
from slipway.settings import Settings
from slipway.store import Store

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from functions.predict.router import Router


def _router() -> "Router | None":
    """Only where there is a GPU. boto3, a third of a second, is imported when the endpoint is first asked."""
    if not settings.gpu_endpoint:
        return None
    from functools import cache

    from functions.predict.reported import Reported
    from functions.predict.router import Router

    @cache
    def endpoint() -> Any:
        from slipway.hosting.invoking import invoker

        return invoker(settings.gpu_endpoint, settings.gpu_component, seconds=settings.gpu_seconds)

    def invoke(body: bytes) -> bytes:
        answer: bytes = endpoint()(body)
        return answer

    store = Store(settings.model_bucket, settings.model, serving=True)
    return Router(settings, invoke, rate=Reported(store.pulse))


settings = Settings.from_env()


def _store(model: str) -> Store:
    return Store(settings.model_bucket, model, serving=True, trusted_keys=settings.trusted_keys)


scratch = Scratch(Path(os.environ.get("TMPDIR", "/tmp")))  # noqa: S108  its name there cannot be guessed
models = Models(settings, _store, scratch, logger)
models.get(settings.model).begin()  # waits for S3 while the rest is imported

from functions.predict.routes import Service
from functions.predict.shadowing import Shadowing

service = Service(settings, models, Shadowing(record_shadow), _router())
register_after_restore(models.expire)
with suppress(ModelUnavailable):  # a stack is deployed before its first model is promoted
    models.get(settings.model).current(START_WAIT)
_init_ms = (time.perf_counter() - _started) * 1e3
gc.freeze()
gc.enable()


def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Answer one API Gateway REST proxy event."""
    if begin(event["requestContext"]["requestId"], context):
        record_cold_start(_init_ms)
    return service.handle(event)
