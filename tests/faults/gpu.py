"""The predict function beside a GPU endpoint that is broken: the CPU answers, whatever it is."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.faults.outcomes import Outcome, arranged, require_hits, summary
from tests.faults.proxy import Fault
from tests.faults.stage import Stage

_SETTINGS = {"SLIPWAY_GPU_ENDPOINT": "gpu", "SLIPWAY_GPU_TOKENS": "1", "SLIPWAY_GPU_SECONDS": "0.5"}


def gpu(*faults: Fault, **answer: Any) -> Callable[[Stage], Outcome]:
    """Every request goes to the endpoint first; ``answer`` changes what it says."""

    def run(stage: Stage) -> Outcome:
        with _endpoint(stage.first, answer) as upstream, stage.cold(**_SETTINGS) as ask:
            stage.gpu.upstream = upstream
            now = arranged(faults, stage)
            with stage.gpu.broken(*now):
                seen = [ask() for _ in range(6)]
                require_hits(now)
            backends = sorted({str(each.document.get("backend")) for each in seen})
            wrong = sum(each.lost for each in seen) + (backends != ["cpu-int8"])
            return Outcome(summary(seen, stage), wrong, f"answered by {', '.join(backends)}")

    return run


def healthy(stage: Stage) -> Outcome:
    """Nothing is broken: the row that shows that the others could have been answered by the endpoint."""
    with _endpoint(stage.first, {}) as upstream, stage.cold(**_SETTINGS) as ask:
        stage.gpu.upstream = upstream
        seen = [ask() for _ in range(6)]
    backends = sorted({str(each.document.get("backend")) for each in seen})
    wrong = sum(each.lost for each in seen) + (backends != ["gpu-fp16"])
    return Outcome(summary(seen, stage), wrong, f"answered by {', '.join(backends)}")


@contextmanager
def _endpoint(version: str, changed: dict[str, Any]) -> Iterator[str]:
    """What SageMaker's runtime answers for the endpoint, in its container's words."""
    labels = ("positive", "negative")
    predictions = [
        {"label": label, "score": 0.98, "scores": {label: 0.98, other: 0.02}, "tokens": 4, "truncated": False}
        for label, other in (labels, labels[::-1])
    ]
    document = {"predictions": predictions, "model_version": version, "backend": "gpu-fp16", **changed}
    body = json.dumps(document).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
