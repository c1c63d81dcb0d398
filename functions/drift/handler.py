"""Every hour: the last whole hour of the API's texts against the live version's baseline → the store and metrics.

``{"now": true}`` asks for the sixty minutes until now instead, which are not kept. Texts of the live version only: a
canary answers the same stream.
"""

import logging
import time
from typing import Any

from slipway.drift.bins import Bins, baseline_counts
from slipway.drift.cloudwatch import log_client, tell
from slipway.drift.windows import HOUR, Window, keep, kept_windows, measure
from slipway.errors import ArtifactError, ModelUnavailable
from slipway.settings.drift import DriftSettings
from slipway.store import Store

logger = logging.getLogger()
logger.setLevel(logging.INFO)
settings = DriftSettings.from_env()
store = Store(settings.model_bucket, settings.model, trusted_keys=settings.trusted_keys)
kept = kept_windows(settings.model_bucket, settings.model)
logs = log_client()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """The window as it is kept. Raises ModelUnavailable, ArtifactError or StoreError."""
    now = int(time.time())
    whole = not event.get("now")
    window = _measured(now // HOUR * HOUR if whole else now)
    if whole:
        keep(kept, window)
    if window.changes:
        tell(window, stage=settings.stage)
    told = {"drifted": window.drifted, "compared": window.compared, "model_version": window.version}
    (logger.warning if window.drifted else logger.info)("drift", extra=told)
    return window.to_dict()


def _measured(end: int) -> Window:
    live = store.live()
    if live is None:
        raise ModelUnavailable(f"No version of {settings.model!r} is live.", remedy="`slipway promote` one.")
    manifest = store.manifest(live.version)
    bins = Bins.of(manifest)
    if bins is None:
        raise ArtifactError(
            f"{settings.model} {live.version} has no baseline to compare traffic with.",
            remedy="Build and promote it again with this release.",
        )
    baseline, version = baseline_counts(manifest), live.version
    where = {"model": settings.model, "version": version, "bins": bins, "baseline": baseline, "end": end}
    return measure(logs, settings.log_group, kept, **where)  # type: ignore[arg-type]
