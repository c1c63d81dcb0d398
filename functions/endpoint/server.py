"""The process: two servers on one event loop and one queue, the model loaded beside them, and an end in good order.

After SIGTERM /ping says 503 while requests are still taken, until those who send them have noticed. Then nobody can
connect any more; who is connected is answered and told to close. All of it is done before SageMaker would kill, which
is after 30 s.
"""

import asyncio
import gc
import math
import os
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import uvicorn
import uvloop

from functions.endpoint.app import Surface
from functions.endpoint.engine import OpenEngine, open_engine
from functions.endpoint.grpc_service import Inference
from functions.endpoint.logs import configure, log, log_crash, report_to_log
from functions.endpoint.metrics import Metrics
from functions.endpoint.service import Service
from slipway.errors import SettingsError, SlipwayError
from slipway.settings.endpoint import EndpointSettings

_LAST_REQUESTS_SECONDS = 0.5  # for who has connected, and not sent yet, when the sockets close
_LAST_WORDS_SECONDS = 1.0  # between the last deadline and the end
_NEW_OBJECTS = 20_000  # before garbage is looked for: those of some hundred requests; Python's own number is 700
_KEEP_ALIVE_SECONDS = 75  # longer than clients keep a connection: so they close it, and no request meets a closing one


def serve(settings: EndpointSettings, *, open_engine: OpenEngine = open_engine) -> int:
    """Serve until SIGTERM or SIGINT; the status to exit with. 1 means that the model cannot be served."""
    configure()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Process(settings, open_engine).run())


def leave(status: int) -> NoReturn:
    """End the process: everyone is answered, and a thread that computes what nobody waits for must not hold it up."""
    sys.stdout.flush()
    os._exit(status)


class HttpServer(uvicorn.Server):
    """uvicorn, which tells of its port and leaves the meaning of signals to others: its own would close at once."""

    def __init__(self, config: uvicorn.Config, end: Callable[[], None]) -> None:
        super().__init__(config)
        self._end = end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's signature
        """Called between two instructions of whatever runs."""
        self._end()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Exits the process with a status of its own if the port is taken."""
        await super().startup(sockets)
        log("listening", port=self.servers[0].sockets[0].getsockname()[1])


class Process:
    """One life of the container."""

    def __init__(self, settings: EndpointSettings, open_engine: OpenEngine) -> None:
        check(settings)
        self._settings = settings
        self._seconds_left = settings.drain_seconds - settings.drain_notice_seconds - _LAST_REQUESTS_SECONDS
        self._metrics = Metrics()
        self._service = Service(settings, self._metrics, open_engine=open_engine)
        self._grpc = Inference(settings, self._service, self._metrics)
        self._http = HttpServer(self._config(), self._on_signal)
        self._ending: asyncio.Task[None] | None = None
        self._status = 0

    async def run(self) -> int:
        """Returns when everything accepted is answered."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(report_to_log)
        self._rpc, port = self._grpc.server()
        await self._rpc.start()
        log("listening", grpc_port=port)
        loading = asyncio.create_task(self._load())
        await self._http.serve()
        await self._close_rpc()
        loading.cancel()
        log("ended", status=self._status)
        return self._status

    async def _load(self) -> None:
        try:
            await self._service.load()
            _spare_the_collector()
        except Exception as error:
            if isinstance(error, SlipwayError):
                log("the model cannot be served", reason=str(error))
            else:
                log_crash(error)
            self._status = 1
            self._http.should_exit = True

    def _on_signal(self) -> None:
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        """The first signal begins the end, a second one hurries it."""
        if self._ending:
            self._http.should_exit = True
        else:
            self._ending = self._loop.create_task(self._drain())

    async def _drain(self) -> None:
        log("draining")
        self._service.drain(self._settings.drain_seconds - _LAST_WORDS_SECONDS)
        await asyncio.sleep(self._settings.drain_notice_seconds)
        self._service.closing = True
        for server in self._http.servers:
            server.close()  # uvicorn's own end would drop those who have connected and not sent yet
        await asyncio.sleep(_LAST_REQUESTS_SECONDS)
        self._http.should_exit = True
        await self._close_rpc()

    async def _close_rpc(self) -> None:
        await self._rpc.stop(grace=self._seconds_left)

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            Surface(self._settings, self._service, self._metrics).app(),
            host=self._settings.host,
            port=self._settings.port,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=math.ceil(self._seconds_left),
        )


def _spare_the_collector() -> None:
    """What is loaded stays, so no search for garbage looks at it again; and searches are rarer.

    4 % more requests a second at 128 clients, and memory as flat as before (docs/model-log.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 10, 10)


def check(settings: EndpointSettings) -> None:
    """Raises SettingsError where SageMaker would kill a process that is not done."""
    notice, drain = settings.drain_notice_seconds, settings.drain_seconds
    if not 0 <= notice <= drain - _LAST_REQUESTS_SECONDS - _LAST_WORDS_SECONDS < drain < 30:
        raise SettingsError(
            f"SLIPWAY_DRAIN_NOTICE_SECONDS={notice} and SLIPWAY_DRAIN_SECONDS={drain} do not fit into 30 s.",
            remedy="SageMaker kills 30 s after SIGTERM; the notice comes 1.5 seconds before the end at least.",
        )
