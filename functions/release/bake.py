"""One turn of a bake: Step Functions calls it again and again with what it returned, until the bake has ended."""

import logging
import time
from typing import Any

from slipway.bakes.plan import Bake
from slipway.bakes.records import Records
from slipway.bakes.turn import turn
from slipway.settings.release import ReleaseSettings
from slipway.store import Store

logger = logging.getLogger()
logger.setLevel(logging.INFO)
settings = ReleaseSettings.from_env()
store = Store(settings.model_bucket, settings.model, trusted_keys=settings.trusted_keys)
records = Records(settings.model_bucket, settings.model)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """The bake before and after the turn. An error is raised: the workflow tries the same turn again."""
    before = Bake.from_dict(event)
    bake = turn(before, store, records, now=time.time())
    if (bake.state, bake.weight) != (before.state, before.weight):
        logger.info(
            "bake", extra={"version": bake.version, "state": bake.state, "weight": bake.weight, "why": bake.why}
        )
    return bake.to_dict()
