"""V2 over gRPC, beside the HTTP server and with the same queue: for who runs the container outside SageMaker."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc

from functions.endpoint import inference_pb2 as pb
from functions.endpoint.app import require_model
from functions.endpoint.engine import Engine
from functions.endpoint.errors import DeadlinePassed, QueueFull
from functions.endpoint.grpc_tensors import to_body, to_message
from functions.endpoint.invocations import call_v2
from functions.endpoint.logs import log_crash
from functions.endpoint.metrics import Metrics
from functions.endpoint.service import Call, Service
from slipway.dialects import v2
from slipway.errors import SlipwayError
from slipway.problems import to_problem
from slipway.requests import Limits
from slipway.settings.endpoint import EndpointSettings

SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.INVALID_ARGUMENT,  # not RESOURCE_EXHAUSTED, after which clients send it again
    415: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    503: grpc.StatusCode.UNAVAILABLE,
}
_Method = Callable[[Any, Any], Awaitable[Any]]


class Inference:
    """The six calls of the protocol."""

    def __init__(self, settings: EndpointSettings, service: Service, metrics: Metrics) -> None:
        self._settings = settings
        self._service = service
        self._metrics = metrics
        self._limits = Limits(settings.max_body_bytes, settings.max_instances)

    def server(self) -> tuple[Any, int]:
        """A server that is to be started, and its port. Raises RuntimeError if the port is taken."""
        room = self._settings.max_body_bytes + 65_536  # a message has more around its texts than a body
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", room), ("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((self._handlers(),))
        return server, server.add_insecure_port(f"{self._settings.host}:{self._settings.grpc_port}")

    async def live(self, _: Any, __: Any) -> pb.ServerLiveResponse:
        """The process answers."""
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, _: Any, __: Any) -> pb.ServerReadyResponse:
        """The model answers."""
        return pb.ServerReadyResponse(ready=await self._ready())

    async def model_ready(self, request: pb.ModelReadyRequest, _: Any) -> pb.ModelReadyResponse:
        """The model answers, if it is the one that is asked for."""
        require_model(self._service.engine.predictor.manifest, request.name, request.version)
        return pb.ModelReadyResponse(ready=await self._ready())

    async def server_metadata(self, _: Any, __: Any) -> pb.ServerMetadataResponse:
        """What this server is."""
        return pb.ServerMetadataResponse(**v2.server_metadata(self._service.engine.predictor.manifest.version))

    async def model_metadata(self, request: pb.ModelMetadataRequest, _: Any) -> pb.ModelMetadataResponse:
        """Inputs and outputs of the model; the meaning of the columns has no place in the message."""
        manifest = self._service.engine.predictor.manifest
        require_model(manifest, request.name, request.version)
        metadata = v2.model_metadata(manifest, [manifest.version])
        del metadata["parameters"]
        return pb.ModelMetadataResponse(**metadata)

    async def infer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        """Classify texts."""
        require_model(self._service.engine.predictor.manifest, request.model_name, request.model_version)
        left = context.time_remaining()
        seconds = self._settings.request_seconds if left is None else min(left, self._settings.request_seconds)
        size = request.ByteSize()
        with self._service.holding(size):
            work = self._service.answer(partial(self._read, request), size)
            return await self._service.deadlines.within(seconds, work)

    async def _ready(self) -> bool:
        try:
            await self._service.ready()
        except SlipwayError:
            return False
        return True

    def _read(self, request: pb.ModelInferRequest, engine: Engine) -> Call[pb.ModelInferResponse]:
        body, header_bytes = to_body(request)
        call = call_v2(body, header_bytes, self._limits, engine)
        return Call(
            call.requests, lambda answers: to_message(call.render(answers), raw=bool(request.raw_input_contents))
        )

    def _handlers(self) -> Any:
        table: dict[str, tuple[_Method, Any]] = {
            "ServerLive": (self.live, pb.ServerLiveRequest),
            "ServerReady": (self.server_ready, pb.ServerReadyRequest),
            "ModelReady": (self.model_ready, pb.ModelReadyRequest),
            "ServerMetadata": (self.server_metadata, pb.ServerMetadataRequest),
            "ModelMetadata": (self.model_metadata, pb.ModelMetadataRequest),
            "ModelInfer": (self.infer, pb.ModelInferRequest),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._guarded(answer),
                request_deserializer=kind.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
            for name, (answer, kind) in table.items()
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _guarded(self, answer: _Method) -> _Method:
        """Answer with a status and the words that the same error has over HTTP."""

        async def guarded(request: Any, context: Any) -> Any:
            started = time.perf_counter()
            try:
                message, code, words = await answer(request, context), grpc.StatusCode.OK, ""
            except asyncio.CancelledError:
                self._metrics.request("grpc", "CANCELLED", time.perf_counter() - started)
                raise
            except SlipwayError as error:
                message, (code, words) = None, _status(error)
            except Exception as error:  # the last line, as in app.py
                message, (code, words) = None, _status(SlipwayError("unforeseen"), error)
            self._metrics.request("grpc", code.name, time.perf_counter() - started)
            if code is not grpc.StatusCode.OK:
                await context.abort(code, words)
            return message

        return guarded


def _status(error: SlipwayError, cause: Exception | None = None) -> tuple[grpc.StatusCode, str]:
    instance = f"urn:uuid:{uuid.uuid4()}"
    status, _, problem = to_problem(error, instance)
    code = _CODES.get(status, grpc.StatusCode.INTERNAL)
    if isinstance(error, QueueFull):
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
    elif isinstance(error, DeadlinePassed):
        code = grpc.StatusCode.DEADLINE_EXCEEDED
    elif status == 500:
        log_crash(cause or error, instance=instance)
    return code, problem["error"]
