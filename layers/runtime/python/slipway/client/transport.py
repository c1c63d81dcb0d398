"""Requests over connections that stay open, tried again as long as that is safe and in time.

Every request may be sent twice: the API's predictions change nothing.
"""

import ssl
import threading
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead

from slipway.client.address import Address
from slipway.client.credentials import Credential
from slipway.client.errors import ClientError, NotSent, Unavailable, to_error
from slipway.client.patience import RETRIED, Clock, Patience, read_retry_after

# What is seen of a connection that the server closed while nothing was asked.
_CLOSED_WHILE_IDLE = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Request:
    """``path`` comes after the address's prefix. ``id`` stays the same over the tries: a canary is sticky by it."""

    method: str
    path: str
    id: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole."""

    status: int
    headers: Message
    body: bytes


class Transport:
    """Sends requests to one address. Safe to use from several threads: each request has a connection for itself."""

    def __init__(
        self,
        address: Address,
        credential: Credential,
        patience: Patience,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = address
        self._credential = credential
        self._patience = patience
        self._clock = clock
        self._tls = (tls or ssl.create_default_context()) if address.tls else None
        self._idle: list[HTTPConnection] = []
        self._closed = False
        self._lock = threading.Lock()  # of the two fields above it

    def send(self, request: Request) -> Reply:
        """The answer, which has status 200 or 201.

        Raises the ClientError of the last try: there was no other that had a chance, was allowed and was in time.
        """
        if self._closed:
            raise NotSent("The client is closed.", remedy="Ask inside its with, or make a new one.")
        begin = self._clock.now()
        end = begin + self._patience.deadline
        retry = 0
        while True:
            outcome = self._try(request, end)
            if isinstance(outcome, Reply):
                return outcome
            pause = self._patience.pause(retry, outcome.retry_after, self._clock.uniform)
            now = self._clock.now()
            in_time = now + pause < end and not self._closed
            if not (_may_pass(outcome) and retry < self._patience.retries and in_time):
                outcome.add_note(f"Tried {retry + 1} times in {now - begin:.1f} s; X-Request-Id: {request.id}")
                raise outcome
            self._clock.sleep(pause)
            retry += 1

    def close(self) -> None:
        """Close what is idle; what is busy is closed when it is done, and not tried again."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _try(self, request: Request, end: float) -> Reply | ClientError:
        try:
            reply = self._exchange(request, end)
        except (OSError, HTTPException) as error:
            # Without its traceback, because the frames of http.client hold the key and the texts.
            failed = self._no_answer(error)
            failed.__cause__ = error.with_traceback(None)
            return failed
        if reply.status in (200, 201):
            return reply
        return to_error(reply.status, reply.body, read_retry_after(reply.headers))

    def _exchange(self, request: Request, end: float) -> Reply:
        connection, response = self._begin(request, end)
        try:
            body = self._read(response, end)
        except BaseException:  # raised again: a connection in the middle of something is no good to anybody
            connection.close()
            raise
        finally:
            response.close()
        self._keep(connection, response)
        return Reply(response.status, response.headers, body)

    @property
    def manner(self) -> "tuple[Patience, Clock, ssl.SSLContext | None]":
        """How it waits and whom it trusts, for what is sent elsewhere."""
        return self._patience, self._clock, self._tls

    def _begin(self, request: Request, end: float) -> tuple[HTTPConnection, HTTPResponse]:
        """Send over the connection that was used last; one that the server closed meanwhile is no failed try."""
        while idle := self._take():
            try:
                return idle, self._ask(idle, request, end)
            except _CLOSED_WHILE_IDLE:
                continue
        fresh = self._connection()
        return fresh, self._ask(fresh, request, end)

    def _ask(self, connection: HTTPConnection, request: Request, end: float) -> HTTPResponse:
        try:
            if connection.sock is None:
                connection.timeout = self._within(self._patience.connect, end)
                connection.connect()
            connection.sock.settimeout(self._within(self._patience.read, end))
            connection.putrequest(request.method, self._address.prefix + request.path)
            self._put_headers(connection, request)
            connection.endheaders(request.body)
            return connection.getresponse()
        except BaseException:  # raised again: a connection in the middle of something is no good to anybody
            connection.close()
            raise

    def _put_headers(self, connection: HTTPConnection, request: Request) -> None:
        connection.putheader("Accept", "application/json")
        connection.putheader("User-Agent", "slipway")
        connection.putheader("X-Request-Id", request.id)
        url = str(self._address) + request.path
        for name, value in self._credential(request.method, url, request.body or b"").items():
            connection.putheader(name, value)
        if request.body is not None:
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(request.body)))

    def _read(self, response: HTTPResponse, end: float) -> bytes:
        chunks = []
        while chunk := response.read1(_CHUNK):
            chunks.append(chunk)
            if self._clock.now() >= end:
                raise TimeoutError
        body = b"".join(chunks)
        if response.length:
            raise IncompleteRead(body, response.length)
        return body

    def _connection(self) -> HTTPConnection:
        host, port = self._address.host, self._address.port
        return HTTPSConnection(host, port, context=self._tls) if self._tls else HTTPConnection(host, port)

    def _take(self) -> HTTPConnection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _keep(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        with self._lock:
            if not (self._closed or response.will_close):
                self._idle.append(connection)
                return
        connection.close()

    def _within(self, seconds: float, end: float) -> float:
        return max(0.001, min(seconds, end - self._clock.now()))

    def _no_answer(self, error: OSError | HTTPException) -> Unavailable:
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unavailable(
                f"The certificate of {self._address.host} is not trusted: {error.verify_message}.",
                remedy="Give the client an SSLContext as tls that trusts its issuer, or correct the URL.",
            )
        if isinstance(error, TimeoutError):
            return Unavailable(
                f"{self._address} did not answer in time.",
                remedy="Send fewer or shorter texts in a request, or give the client more patience.",
            )
        why = getattr(error, "strerror", None) or type(error).__name__
        return Unavailable(f"{self._address} did not answer: {why}.", remedy="Check the URL and the network.")


def _may_pass(error: ClientError) -> bool:
    if error.status is None:
        return not isinstance(error.__cause__, ssl.SSLCertVerificationError)
    return error.status in RETRIED
