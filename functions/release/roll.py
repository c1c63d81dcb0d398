"""A promotion's event, or a deployment's → the endpoints serve what is live now.

The event only says when to look: the pointer is read again, so that events that come twice, late or in another order
do no harm. A message is done when everything serves the live version; until then it goes back to its queue, and comes
again in some minutes.
"""

import logging
from typing import Any

from functions.release.version import servable
from slipway.errors import ArtifactError
from slipway.hosting.models import Models
from slipway.hosting.targets import AsyncEndpoint, Component
from slipway.releases import Live
from slipway.settings.release import RollSettings
from slipway.store import Store

logger = logging.getLogger()  # Lambda writes its records as JSON: Powertools is not in a zip's runtime
logger.setLevel(logging.INFO)
settings = RollSettings.from_env()
store = Store(settings.model_bucket, settings.model, trusted_keys=settings.trusted_keys)
models = Models(settings.gpu_prefix)


def handler(event: dict[str, Any], _: object) -> dict[str, list[dict[str, str]]]:
    """Messages of an SQS queue → those of them that must come again.

    An error of S3 or SageMaker, or a pointer that isn't there yet, is raised: they come again as well.
    """
    done = roll()
    return {"batchItemFailures": [] if done else [{"itemIdentifier": m["messageId"]} for m in event["Records"]]}


def roll() -> bool:
    """Bring every target to the live version, as far as is possible now. True if there is nothing left to do.

    There is nothing left either if the version is refused, or was taken back by SageMaker: the former one serves on,
    and what these two are logged as raises an alarm.
    """
    try:
        live = servable(store)
    except ArtifactError as error:
        logger.error("refused", extra={"reason": str(error)})
        return True
    targets = _targets()
    states = {target.name: _bring(target, live) for target in targets}
    logger.info("rolled", extra={"version": live.version, "states": states})
    if set(states.values()) == {"serves"}:
        _forget(targets)
    return "updating" not in states.values()


def _targets() -> list[Component | AsyncEndpoint]:
    component = Component(settings.gpu_component, like=settings.gpu_model, rolling=settings.gpu_rolling)
    if not settings.gpu_async_endpoint:
        return [component]
    endpoint = AsyncEndpoint(
        settings.gpu_async_endpoint,
        prefix=settings.gpu_prefix,
        like=settings.gpu_async_model,
        config=settings.gpu_async_config,
        rolling=settings.gpu_async_rolling,
    )
    return [component, endpoint]


def _bring(target: Component | AsyncEndpoint, live: Live) -> str:
    """One step of a target towards the live version; ``mark`` tells a second promotion of a version from the first."""
    mark = f"{live.version} {live.at}"
    serving = target.serving()
    if not serving.settled:
        return "updating"
    if serving.serves(live.version):
        serving.unmark()
        return "serves"
    if serving.tried == mark:
        logger.error("taken back", extra={"version": live.version, "target": target.name, "status": serving.status})
        return "taken back"
    uri = f"s3://{settings.model_bucket}/models/{settings.model}/{live.version}/"
    target.update(models.make(live.version, uri, like=target.like), mark)
    return "updating"


def _forget(targets: list[Component | AsyncEndpoint]) -> None:
    configs = [name for target in targets for name in target.forget()]
    forgotten = models.forget({target.serving().model for target in targets})
    if configs or forgotten:
        logger.info("forgotten", extra={"models": forgotten, "configurations": configs})
