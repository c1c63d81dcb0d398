"""What stands for the GPU endpoint beside the local cloud, which has no SageMaker: its own server as a process."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local_cloud.ports import HOST
from infra.local_cloud.server import Server
from infra.local_cloud.tools import ROOT


class LocalEndpoint:
    """The server of functions/endpoint over one artifact, on the GPU if this machine has one. Not to be shared.

    ``limits`` are variables of its settings, such as those of a server whose requests are files.
    """

    def __init__(
        self, directory: Path, *, artifact: Path, port: int, grpc_port: int, limits: Mapping[str, str] | None = None
    ) -> None:
        self.url = f"http://{HOST}:{port}"
        self._server = Server(directory, name="endpoint", health_path="/ping")
        self._port = port
        self._variables = {
            **(limits or {}),
            "SLIPWAY_MODEL_DIRECTORY": str(artifact.resolve()),
            "SLIPWAY_HOST": HOST,
            "SLIPWAY_PORT": str(port),
            "SLIPWAY_GRPC_PORT": str(grpc_port),
            "PYTHONPATH": os.pathsep.join((str(ROOT / "layers/runtime/python"), str(ROOT))),
        }

    def start(self) -> None:
        """Start it and wait until it answers. Raises LocalCloudError."""
        command = [sys.executable, "-m", "functions.endpoint", "serve"]
        self._server.start(command, port=self._port, env={**os.environ, **self._variables}, seconds=60)

    def kill(self) -> None:
        """End it as a power cut would."""
        if found := self._server.running():
            os.killpg(found.pid, signal.SIGKILL)
            self._server.stop()  # it is gone: this reaps it

    def stop(self) -> None:
        """End it with SIGTERM, which drains it."""
        self._server.stop()
