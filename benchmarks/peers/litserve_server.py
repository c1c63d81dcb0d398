"""LitServe, in a virtual environment of its own: ``ARTIFACT BATCHES PORT WAIT_MS``. On loopback only.

Two workers, as our server has two batches in flight; here each is a process with a session of its own.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import litserve
from starlette.requests import Request

from benchmarks.peers.served import Scored, Scorer, end_with_parent

MAX_BATCH = 32
WORKERS = 2


class Api(litserve.LitAPI):  # type: ignore[misc]  # not in this environment
    """``{"text": "…"}`` to its label and scores."""

    def __init__(self, artifact: Path, batches: Path, wait_seconds: float) -> None:
        super().__init__(max_batch_size=MAX_BATCH, batch_timeout=wait_seconds)
        self._files = (artifact, batches)

    def setup(self, device: str) -> None:  # noqa: ARG002  # LitServe's signature
        """In each worker."""
        self._scorer = Scorer(*self._files)

    def decode_request(self, request: Request) -> str:
        """The text. LitServe parses the body of what is annotated so, and gives the document."""
        text: str = request["text"]
        return text

    def predict(self, x: Sequence[str]) -> list[Scored]:
        """One batch."""
        return self._scorer(x)

    def encode_response(self, output: Scored) -> dict[str, Any]:
        """The document of one text."""
        return output._asdict()


def main(artifact: Path, batches: Path, port: int, wait_ms: float) -> None:
    """Serve until the end."""
    end_with_parent()
    server = litserve.LitServer(Api(artifact, batches, wait_ms / 1e3), accelerator="cpu", workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=port, num_api_servers=1, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
