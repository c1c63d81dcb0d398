"""A model directory → a predictor on the device that is there, every file verified and the golden examples replayed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from functions.endpoint.batching import Bounds
from slipway.artifact import Variant, read_manifest
from slipway.encoding import Encoded
from slipway.errors import ModelUnavailable, SettingsError
from slipway.loading import load_predictor
from slipway.network import CPU, GPU, Device
from slipway.predictor import Predictor
from slipway.settings.endpoint import EndpointSettings
from slipway.signatures import check_directory, read_keys


@dataclass(frozen=True, slots=True)
class Engine:
    """What computes. ``backend`` is the device and the precision, as answers tell them: gpu-fp16, cpu-int8."""

    predictor: Predictor
    backend: str
    bounds: Bounds


# Twice the predictor's own batch: 7 % more requests at 128 clients, in turns with 512 (docs/model-log.md).
_CPU = CPU._replace(pack_tokens=1_024)

OpenEngine = Callable[[EndpointSettings, Callable[[str], None]], Engine]


def open_engine(settings: EndpointSettings, warn: Callable[[str], None] = lambda _: None) -> Engine:
    """Open the artifact in ``settings.model_directory``; ``warn`` is told why ``auto`` came to be the CPU.

    Raises ArtifactError naming the file that is missing, damaged, not signed by a trusted key, or answers differently
    from its manifest, ModelUnavailable if the device is demanded and not there, SettingsError if it is none.
    """
    if settings.device not in ("auto", "gpu", "cpu"):
        raise SettingsError(f"SLIPWAY_DEVICE={settings.device!r} is no device.", remedy="Use auto, gpu or cpu.")
    directory = Path(settings.model_directory)
    if settings.trusted_keys:
        check_directory(directory, read_keys(settings.trusted_keys))
    if settings.device != "cpu":
        try:
            return _open(directory, "fp16", GPU, settings)
        except ModelUnavailable as error:
            if settings.device == "gpu":
                raise
            warn(str(error))
    return _open(directory, read_manifest(directory).serve, _CPU, settings)


def warm_up(engine: Engine) -> None:
    """Compute the largest batch there can be: what a device allocates and compiles, it does now.

    Raises ArtifactError if it cannot be computed.
    """
    predictor, bounds = engine.predictor, engine.bounds
    longest = predictor.manifest.max_tokens
    ids = np.resize(predictor.encoder.encode([predictor.manifest.golden[0].text])[0].ids, longest)
    predictor.classify([Encoded((ids,), longest)] * max(1, bounds.batch_tokens // longest))


def _open(directory: Path, variant: Variant, device: Device, settings: EndpointSettings) -> Engine:
    device = device._replace(pack_tokens=settings.batch_tokens or device.pack_tokens)
    predictor = load_predictor(directory, variant, device=device)
    bounds = Bounds(
        batch_tokens=device.pack_tokens,
        run_tokens=device.run_tokens,
        in_flight=settings.batches_in_flight,
        queue_tokens=settings.queue_tokens,
        wait=settings.batch_wait_ms / 1e3,
    )
    return Engine(predictor, f"{device.name}-{variant}", bounds)
