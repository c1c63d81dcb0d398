"""The endpoint with a model that holds every batch while a file, its first argument, is there: so that texts queue."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from functions.endpoint.engine import Engine, open_engine
from functions.endpoint.server import leave, serve
from slipway.encoding import Encoded
from slipway.predictor import Prediction, Predictor
from slipway.settings.endpoint import EndpointSettings


class Gated(Predictor):
    """A predictor that waits; ``broken`` beside the gate makes it fail."""

    def __init__(self, inner: Predictor, gate: Path) -> None:
        super().__init__(inner._network, inner.encoder, inner.manifest)
        self._gate = gate

    def classify(self, encoded: Sequence[Encoded]) -> list[Prediction]:
        while self._gate.exists():
            time.sleep(0.005)
        if self._gate.with_name("broken").exists():
            raise RuntimeError("the words of a text that no log may have")
        return super().classify(encoded)


def gated(settings: EndpointSettings, warn: Callable[[str], None]) -> Engine:
    """As ``open_engine``."""
    engine = open_engine(settings, warn)
    return replace(engine, predictor=Gated(engine.predictor, Path(sys.argv[1])))


if __name__ == "__main__":
    leave(serve(EndpointSettings.from_env(), open_engine=gated))
