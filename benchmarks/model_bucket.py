"""A model store that can only be read: the S3 GETs of a function's start, from a folder, in a process of its own.

``python -m benchmarks.model_bucket FOLDER`` prints its port and serves ``/<bucket>/<key>`` until its input closes.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.options import ROOT

_MISSING = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code><Message>No such key.</Message></Error>'


def fill(folder: Path, bucket: str, artifact: Path) -> str:
    """Lay the artifact out as a published and promoted version that serves int8; its model's name."""
    from slipway.artifact import MANIFEST, read_manifest
    from slipway.releases import new_live

    built = read_manifest(artifact)
    manifest = replace(built, serve="int8", version=built.version if built.serve == "int8" else "")
    model = folder / bucket / "models" / manifest.model
    shutil.rmtree(model, ignore_errors=True)
    version = model / manifest.version
    version.mkdir(parents=True)
    for name in manifest.serving_files():
        (version / name).symlink_to(artifact.resolve() / name)
    (version / MANIFEST).write_bytes(manifest.to_json())
    live = new_live(manifest.version, "promote", by="benchmarks", why="measured", after=None)
    (model / "live.json").write_bytes(live.to_json())
    return manifest.model


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a server of ``folder``, while it runs."""
    command = [sys.executable, "-m", "benchmarks.model_bucket", str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as server:  # type: ignore[call-overload]
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


class _Objects(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a short object would wait 40 ms for the acknowledgement of its head
    root: Path

    def do_GET(self) -> None:
        path = self.root / self.path.partition("?")[0].lstrip("/")
        if not path.is_file():
            self._head(404, len(_MISSING), "application/xml")
            self.wfile.write(_MISSING)
            return
        status = path.stat()
        tag = hashlib.sha256(f"{path}{status.st_size}{status.st_mtime_ns}".encode()).hexdigest()[:32]
        self._head(200, status.st_size, "binary/octet-stream", tag, formatdate(status.st_mtime, usegmt=True))
        with path.open("rb") as file:
            self.connection.sendfile(file)

    def _head(self, status: int, length: int, kind: str, tag: str = "", modified: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Type", kind)
        if tag:
            self.send_header("ETag", f'"{tag}"')
            self.send_header("Last-Modified", modified)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


def main(folder: Path) -> None:
    """Serve until standard input closes."""
    _Objects.root = folder
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Objects)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
