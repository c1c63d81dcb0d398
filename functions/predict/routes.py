"""The HTTP surface: which path does what. Every answer and every error leaves through here."""

import base64
import json
import time
from typing import Any, Protocol

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from functions.predict import telemetry
from slipway.errors import MalformedRequest, RequestTooLarge, SlipwayError, UnknownResource
from slipway.messages import JSON, PROBLEM, Limits, check_content_type, parse_predict, render_predictions, to_problem
from slipway.predictor import Predictor
from slipway.settings import Settings

_ROUTES = "POST /v1/models/<model>:predict, GET /v1/models/<model>, GET /v2/health/live, GET /v2/health/ready"


class Models(Protocol):
    """Where predictors come from; ``functions.predict.live.LiveModel`` is the one that serves."""

    refused: dict[str, str]

    def current(self) -> Predictor: ...
    def version(self, version: str) -> Predictor: ...
    def loaded(self) -> list[str]: ...


class Service:
    """The routes of one function over one model."""

    def __init__(self, settings: Settings, models: Models) -> None:
        self.app = APIGatewayRestResolver()
        self._settings = settings
        self._models = models
        self._limits = Limits(settings.max_body_bytes, settings.max_instances)
        self.app.post("/v1/models/<model>/versions/<version>:predict")(self.predict)
        self.app.post("/v1/models/<model>:predict")(self.predict)
        self.app.get("/v1/models/<model>/versions/<version>")(self.status)
        self.app.get("/v1/models/<model>")(self.status)
        self.app.get("/v2/health/live")(self.live)
        self.app.get("/v2/health/ready")(self.ready)
        self.app.not_found(self._no_route)
        self.app.exception_handler(SlipwayError)(self._problem)
        self.app.exception_handler(Exception)(self._crash)

    def predict(self, model: str, version: str = "") -> Response[str]:
        """Classify the instances of a V1 request with the live version, or with the one in the path."""
        started = time.perf_counter()
        self._require_model(model)
        event = self.app.current_event
        check_content_type(event.headers.get("content-type"))
        request = parse_predict(_body(event.raw_event), self._limits)
        predictor = self._models.version(version) if version else self._models.current()
        encoded = predictor.encoder.encode(request.texts, truncation=request.truncation)
        self._require_budget(sum(len(e.ids) for e in encoded))
        predictions = render_predictions(predictor.classify(encoded), predictor.manifest, request.top_k)
        backend = f"cpu-{predictor.manifest.serve}"
        answer = {"predictions": predictions, "model_version": predictor.manifest.version, "backend": backend}
        telemetry.record(
            telemetry.Served(
                model_version=predictor.manifest.version,
                backend=backend,
                labels=[prediction["label"] for prediction in predictions],
                tokens=sum(len(e.ids) for e in encoded),
                milliseconds=(time.perf_counter() - started) * 1e3,
            )
        )
        return _json(200, answer)

    def status(self, model: str, version: str = "") -> Response[str]:
        """TF-Serving's model status: every version in memory, and those that were refused, with the reason."""
        self._require_model(model)
        if version:
            self._models.version(version)
        states = [_state(loaded, "AVAILABLE", "OK", "") for loaded in self._models.loaded()]
        states += [_state(refused, "END", "DATA_LOSS", why) for refused, why in self._models.refused.items()]
        return _json(200, {"model_version_status": [s for s in states if version in ("", s["version"])]})

    def live(self) -> Response[str]:
        """The process answers."""
        return _json(200, {"live": True})

    def ready(self) -> Response[str]:
        """A model answers: one golden example runs through it now."""
        predictor = self._models.current()
        predictor.predict([predictor.manifest.golden[0].text])
        return _json(200, {"ready": True, "model_version": predictor.manifest.version})

    def _require_model(self, model: str) -> None:
        if model != self._settings.model:
            raise UnknownResource(
                f"There is no model {model[:64]!r} here.",
                field="model",
                remedy=f"It is called {self._settings.model!r}.",
            )

    def _require_budget(self, tokens: int) -> None:
        if tokens > self._settings.max_request_tokens:
            raise RequestTooLarge(
                f"The texts have {tokens:,} tokens; {self._settings.max_request_tokens:,} fit into one request.",
                field="instances",
                remedy="Send fewer or shorter texts in one request.",
            )

    def _no_route(self, _: NotFoundError) -> Response[str]:
        event = self.app.current_event
        return self._problem(
            UnknownResource(f"There is no {event.http_method} {event.path[:200]}.", remedy=f"There are {_ROUTES}.")
        )

    def _problem(self, error: SlipwayError) -> Response[str]:
        instance = f"urn:uuid:{self.app.current_event.raw_event.get('requestContext', {}).get('requestId', '')}"
        status, headers, problem = to_problem(error, instance)
        telemetry.record_error(status, error)
        return _json(status, problem, PROBLEM, headers)

    def _crash(self, error: Exception) -> Response[str]:
        telemetry.record_crash(error)
        return self._problem(SlipwayError("unforeseen"))


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:
        raise MalformedRequest("The body is marked as base64 and is not.") from error


def _json(
    status: int, document: dict[str, Any], content_type: str = JSON, headers: dict[str, str] | None = None
) -> Response[str]:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Response(status_code=status, content_type=content_type, body=body, headers=headers)


def _state(version: str, state: str, code: str, message: str) -> dict[str, Any]:
    return {"version": version, "state": state, "status": {"error_code": code, "error_message": message}}
