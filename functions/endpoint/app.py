"""The HTTP surface. Every answer and every error leaves through here.

``/ping`` and ``/invocations`` are SageMaker's. The second is also there under the path by which SageMaker's own API
calls an endpoint, so that code which uses boto3 asks a container on a laptop by ``endpoint_url`` and nothing else.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.endpoint import metrics
from functions.endpoint.invocations import JSON_LINES, check_accept, is_lines, read_invocation, read_v2, to_json
from functions.endpoint.logs import log_crash
from functions.endpoint.metrics import Metrics
from functions.endpoint.service import Parse, Service
from slipway.artifact import Manifest
from slipway.dialects import v2
from slipway.errors import (
    InvalidRequest,
    MethodNotAllowed,
    RequestTooLarge,
    SlipwayError,
    UnknownResource,
    UnsupportedMedia,
)
from slipway.problems import PROBLEM, to_problem
from slipway.requests import JSON, Limits, check_content_type
from slipway.settings.endpoint import EndpointSettings

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
TIMEOUT = "X-Timeout-Ms"
_MODEL = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
_INFER = re.compile(r"/v2/models/(?P<model>[^/]+)/infer")
_GONE = 499  # of a request whose caller hung up: nobody reads it, metrics count it

Answer = Callable[[Request], Awaitable[Response]]


class Surface:
    """The routes over one service."""

    def __init__(self, settings: EndpointSettings, service: Service, metrics: Metrics) -> None:
        self._settings = settings
        self._service = service
        self._metrics = metrics
        self._limits = Limits(settings.max_body_bytes, settings.max_instances)

    def app(self) -> ASGIApp:
        """The ASGI application: inference by a short way, everything else by starlette's routes and layers.

        Past those, with a task a request less and a rarer garbage collector, two comparisons had 3 and 15 % more
        requests a second (docs/model-log.md).
        """
        rest = self._starlette()
        invoke, infer = self._guarded("invocations", self.invoke), self._guarded("v2", self.infer)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            answer = None
            if scope["type"] == "http" and scope["method"] == "POST":
                path = scope["path"]
                if path == "/invocations":
                    answer = invoke
                elif named := _INFER.fullmatch(path):
                    answer, scope["path_params"] = infer, named.groupdict()
            if answer is None:
                await rest(scope, receive, send)
            else:
                response = await answer(Request(scope, receive, send))
                await response(scope, receive, send)

        return app

    def _starlette(self) -> Starlette:
        table: list[tuple[str, str, str, Answer]] = [
            ("GET", "/ping", "ping", self.ping),
            ("GET", "/metrics", "metrics", self.page),
            ("POST", "/invocations", "invocations", self.invoke),
            ("POST", "/endpoints/{endpoint}/invocations", "invocations", self.invoke),
            ("GET", "/v2", "v2", self.server),
            ("GET", "/v2/health/live", "v2", self.live),
            ("GET", "/v2/health/ready", "v2", self.ready),
            *(("GET", path, "v2", self.model) for path in _MODEL),
            *(("GET", f"{path}/ready", "v2", self.ready) for path in _MODEL),
            *(("POST", f"{path}/infer", "v2", self.infer) for path in _MODEL),
        ]
        routes = [Route(path, self._guarded(name, answer), methods=[method]) for method, path, name, answer in table]
        app = Starlette(routes=routes, exception_handlers={HTTPException: self._no_such})
        app.router.redirect_slashes = False
        return app

    async def ping(self, _: Request) -> Response:
        """SageMaker: send requests here, or don't."""
        await self._service.ready()
        return Response()

    async def page(self, _: Request) -> Response:
        """Prometheus."""
        return Response(self._metrics.page(), media_type=metrics.CONTENT_TYPE)

    async def invoke(self, request: Request) -> Response:
        """SageMaker: any of the dialects, in JSON or JSON Lines."""
        content_type = request.headers.get("content-type")
        check_accept(request.headers.get("accept"))
        kind = JSON_LINES if is_lines(content_type) else JSON
        return await self._answer(
            request, lambda body: partial(read_invocation, body, content_type, self._limits), kind
        )

    async def infer(self, request: Request) -> Response:
        """Open Inference Protocol."""
        self._manifest(request)
        header_bytes = request.headers.get(v2.BINARY_HEADER)
        if header_bytes is None:
            check_content_type(request.headers.get("content-type"))
        return await self._answer(request, lambda body: partial(read_v2, body, header_bytes, self._limits), JSON)

    async def server(self, _: Request) -> Response:
        """Open Inference Protocol: what this server is."""
        return _respond(v2.server_metadata(self._service.engine.predictor.manifest.version))

    async def model(self, request: Request) -> Response:
        """Open Inference Protocol: inputs and outputs of the model."""
        manifest = self._manifest(request)
        return _respond(v2.model_metadata(manifest, [manifest.version]))

    async def live(self, _: Request) -> Response:
        """The process answers."""
        return _respond({"live": True})

    async def ready(self, request: Request) -> Response:
        """The model answers."""
        engine = await self._service.ready()
        self._manifest(request)
        return _respond({"ready": True, "model_version": engine.predictor.manifest.version})

    async def _answer(self, request: Request, parse: Callable[[bytes], Parse[str]], kind: str) -> Response:
        seconds = self._seconds(request)
        if request.headers.get("content-encoding", "identity") != "identity":
            raise UnsupportedMedia("Compressed bodies are not read here.", remedy="Send it as it is.")
        with self._service.holding(self._length(request)):
            answer = await self._service.deadlines.within(seconds, self._classify(request, parse))
        return Response(answer, media_type=kind)

    async def _classify(self, request: Request, parse: Callable[[bytes], Parse[str]]) -> str:
        body = await self._body(request)
        return await _unless_gone(request, self._service.answer(parse(body), len(body)))

    async def _body(self, request: Request) -> bytes:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            self._check_length(size)
            parts.append(part)
        return b"".join(parts)

    def _length(self, request: Request) -> int:
        """Bytes of the body, at most."""
        told = request.headers.get("content-length", "")
        if told.isdecimal():
            self._check_length(int(told))
        return int(told) if told.isdecimal() else self._limits.body_bytes

    def _check_length(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise RequestTooLarge(
                f"The body has more than the {self._limits.body_bytes:,} bytes that fit.",
                remedy="Send fewer or shorter texts in one request.",
            )

    def _seconds(self, request: Request) -> float:
        """What the request has, which may be less than the server would give."""
        told = request.headers.get(TIMEOUT)
        if told is None:
            return self._settings.request_seconds
        if not (told.isascii() and told.isdecimal() and int(told[:9]) > 0):
            raise InvalidRequest(f"{TIMEOUT} must be a whole number of milliseconds from 1.", field=TIMEOUT)
        return min(int(told) / 1e3, self._settings.request_seconds)

    def _manifest(self, request: Request) -> Manifest:
        """Of the model that the path names. Raises UnknownResource for any other one."""
        manifest = self._service.engine.predictor.manifest
        require_model(manifest, request.path_params.get("model", ""), request.path_params.get("version", ""))
        return manifest

    def _guarded(self, name: str, answer: Answer) -> Answer:
        """Answer with a problem document whatever happens, count it, and give back what SageMaker wants back."""

        async def guarded(request: Request) -> Response:
            started = time.perf_counter()  # uvloop's own clock counts milliseconds
            response = await self._outcome(request, answer)
            self._metrics.request(name, response.status_code, time.perf_counter() - started)
            if attributes := request.headers.get(CUSTOM_ATTRIBUTES):
                response.headers[CUSTOM_ATTRIBUTES] = attributes
            if self._service.closing:  # not before: who is sent away comes back, and waits where closing resets
                response.headers["Connection"] = "close"
            return response

        return guarded

    async def _outcome(self, request: Request, answer: Answer) -> Response:
        try:
            return await answer(request)
        except ClientDisconnect:
            return Response(status_code=_GONE)
        except SlipwayError as error:
            return _problem(error)
        except Exception as error:  # the last line: a caller gets a document, and the log where it came from
            return _problem(SlipwayError("unforeseen"), error)

    async def _no_such(self, request: Request, error: Exception) -> Response:
        what = f"{request.method} {request.url.path[:200]}"
        if isinstance(error, HTTPException) and error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "").split(", ")
            return _problem(MethodNotAllowed(f"There is no {what}.", allowed=allowed))
        remedy = "There are POST /invocations, GET /ping, GET /metrics, and /v2 of the Open Inference Protocol."
        return _problem(UnknownResource(f"There is no {what}.", remedy=remedy))


def require_model(manifest: Manifest, model: str, version: str) -> None:
    """Raises UnknownResource unless ``model`` and ``version`` are the one there is, or empty."""
    if model not in ("", manifest.model):
        raise UnknownResource(
            f"There is no model {model[:64]!r} here.", field="model", remedy=f"It is called {manifest.model!r}."
        )
    if version not in ("", manifest.version):
        raise UnknownResource(
            f"{manifest.model!r} has no version {version[:64]!r} here.",
            field="version",
            remedy=f"This endpoint serves {manifest.version}.",
        )


async def _unless_gone(request: Request, work: Awaitable[str]) -> str:
    """The result of ``work``, which is cancelled if the caller hangs up. Raises ClientDisconnect then."""
    own, gone = asyncio.current_task(), False
    assert own is not None  # noqa: S101  # a request is a task

    async def watch() -> None:
        nonlocal gone
        await request.receive()  # the body was read: nothing else can come
        gone = True
        own.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if not gone:
            raise  # by a deadline
        own.uncancel()
        raise ClientDisconnect from None
    finally:
        watcher.cancel()


def _respond(document: Any) -> Response:
    return Response(to_json(document), media_type=JSON)


def _problem(error: SlipwayError, cause: Exception | None = None) -> Response:
    instance = f"urn:uuid:{uuid.uuid4()}"
    status, headers, problem = to_problem(error, instance)
    if status == 500:
        log_crash(cause or error, instance=instance)
    return Response(to_json(problem), status, headers, PROBLEM)
