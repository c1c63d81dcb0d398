"""A file to an address that was handed out for it, tried again from its beginning as long as that is in time."""

import ssl
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from slipway.client.address import is_loopback
from slipway.client.errors import BadAnswer, ClientError, NotSent, Unavailable, to_error
from slipway.client.patience import RETRIED, Clock, Patience

Progress = Callable[[int, int], None]  # bytes sent, of how many
_CHUNK = 1 << 20


def put_file(
    url: str,
    path: Path,
    *,
    progress: Progress,
    patience: Patience,
    clock: Clock,
    tls: ssl.SSLContext | None,
) -> None:
    """PUT the file, streamed. Raises NotSent if it cannot be read, else the ClientError of the last try.

    The address is a secret for as long as it holds, and is in no error.
    """
    retry = 0
    while error := _try(url, path, progress, patience, tls):
        passing = error.status is None or error.status in RETRIED
        if not passing or retry >= patience.retries:
            raise error
        clock.sleep(patience.pause(retry, 0.0, clock.uniform))
        retry += 1


def _try(
    url: str, path: Path, progress: Progress, patience: Patience, tls: ssl.SSLContext | None
) -> ClientError | None:
    try:
        file = path.open("rb")
    except OSError as error:
        raise NotSent(f"{path} cannot be read: {error.strerror}.", field="path") from error
    with file:
        connection, where = _connection(url, patience, tls)
        try:
            size = path.stat().st_size
            connection.request("PUT", where, _Watched(file, size, progress), {"Content-Length": str(size)})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            return Unavailable(f"The upload of {path.name} broke off: {why}.", remedy="Check the network.")
        finally:
            connection.close()
    return None if answer.status in (200, 201, 204) else to_error(answer.status, body, 0.0)


def _connection(url: str, patience: Patience, tls: ssl.SSLContext | None) -> tuple[HTTPConnection, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        connection: HTTPConnection = HTTPSConnection(host, parts.port, timeout=patience.read, context=tls)
    elif parts.scheme == "http" and is_loopback(host):
        connection = HTTPConnection(host, parts.port, timeout=patience.read)
    else:
        raise BadAnswer("The address for the upload is not https://.")
    return connection, f"{parts.path}?{parts.query}"


class _Watched:
    """A file whose reading is told."""

    def __init__(self, file: IO[bytes], size: int, progress: Progress) -> None:
        self._file = file
        self._size = size
        self._sent = 0
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(_CHUNK if size < 0 else size)
        self._sent += len(chunk)
        self._progress(self._sent, self._size)
        return chunk
