"""API Gateway event → prediction. What is slow happens here once, at init, where SnapStart takes its snapshot."""

from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from snapshot_restore_py import register_after_restore

from functions.predict.models import Models
from functions.predict.routes import Service
from functions.predict.shadowing import Shadowing
from functions.predict.telemetry import begin, logger, record_shadow
from slipway.errors import ModelUnavailable
from slipway.settings import Settings
from slipway.store import Store

# Of this process alone: it removes what it no longer serves. Lambda lets a function write to /tmp only.
cache = Path(mkdtemp(prefix="slipway-"))
settings = Settings.from_env()
models = Models(settings, lambda model: Store(settings.model_bucket, model, serving=True), cache, logger)
service = Service(settings, models, Shadowing(record_shadow))
register_after_restore(models.expire)
with suppress(ModelUnavailable):  # a stack is deployed before its first model is promoted
    models.get(settings.model).current()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one API Gateway REST proxy event."""
    begin(event["requestContext"]["requestId"], context)
    return service.handle(event)
