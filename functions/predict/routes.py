"""The HTTP surface: which path does what. Every answer and every error leaves through here.

A table and a loop instead of Powertools' resolver: nothing of it is needed but the routing, and importing it takes a
tenth of a second of every cold start (docs/decisions.md).
"""

import re
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from functions.predict import telemetry
from functions.predict.answering import Answered, Answering, Target
from functions.predict.gateway import Event, Request, Response, respond, respond_text
from functions.predict.models import Models
from functions.predict.shadowing import Shadowing
from slipway.dialects import tei, v1, v2
from slipway.errors import MethodNotAllowed, SlipwayError, UnknownResource
from slipway.predictor import Predictor
from slipway.problems import PROBLEM, to_problem
from slipway.requests import Limits
from slipway.settings import Settings

if TYPE_CHECKING:
    from functions.predict.batches import Batches
    from functions.predict.router import Router

_PAGES = Path(__file__).with_name("pages")
_HTML = "text/html; charset=utf-8"
# What the pages may load: themselves, and answers of this API.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_EXAMPLES = (
    "POST /v1/models/<model>:predict and :explain, GET /v1/models/<model>, POST /v2/models/<model>/infer, "
    "POST /predict, POST /v1/batches; GET /docs describes them"
)
_V1 = ("/v1/models/<model>", "/v1/models/<model>/versions/<version>", "/v1/models/<model>/labels/<version>")
_V2 = ("/v2/models/<model>", "/v2/models/<model>/versions/<version>")
# Method, path and the name of the method of ``Service`` that answers.
ROUTES: tuple[tuple[str, str, str], ...] = (
    *(
        (method, path + end, name)
        for path in _V1
        for method, end, name in (
            ("POST", ":predict", "predict"),
            ("POST", ":explain", "explain"),
            ("GET", "/metadata", "metadata"),
            ("GET", "", "status"),
        )
    ),
    *(
        (method, path + end, name)
        for path in _V2
        for method, end, name in (
            ("POST", "/infer", "infer"),
            ("GET", "/ready", "ready"),
            ("GET", "", "model"),
        )
    ),
    ("GET", "/v2", "server"),
    ("GET", "/v2/health/live", "live"),
    ("GET", "/v2/health/ready", "ready"),
    ("POST", "/v1/batches", "batch"),
    ("GET", "/v1/batches/<identifier>", "batch_state"),
    ("POST", "/predict", "tei"),
    ("POST", "/", "tei"),
    ("GET", "/info", "info"),
    ("GET", "/health", "ready"),
    ("GET", "/openapi.json", "openapi"),
    ("GET", "/docs", "docs"),
    ("GET", "/", "playground"),
)


class Service:
    """The routes of one function over its models."""

    def __init__(
        self, settings: Settings, models: Models, shadowing: Shadowing, router: "Router | None" = None
    ) -> None:
        self._settings = settings
        self._model = settings.model
        self._models = models
        self._limits = Limits(settings.max_body_bytes, settings.max_instances)
        self._answering = Answering(settings, models, shadowing, router)
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Response]]] = [
            (method, _pattern(path), getattr(self, name)) for method, path, name in ROUTES
        ]
        self._whole: dict[tuple[str, str], Callable[[Request], Response]] = {
            (method, path): getattr(self, name) for method, path, name in ROUTES if "<" not in path
        }

    def handle(self, event: Event) -> Response:
        """Answer one event: with a problem document whatever happens."""
        request = Request(event)
        try:
            return self._dispatch(request)
        except SlipwayError as error:
            return _problem(error, request)
        except Exception as error:  # the last line: a caller gets a document, and the log where it came from
            telemetry.record_crash(error)
            return _problem(SlipwayError("unforeseen"), request)

    def predict(self, request: Request, model: str, version: str = "") -> Response:
        """TF-Serving: classify the instances with what is live, or with the version or label in the path."""
        parsed = v1.parse(request.json_body(), self._limits)
        answered = self._answering.predict(parsed, Target(model, version, request.sticky_id))
        return respond({"predictions": v1.render(answered.answers), **_by(answered)})

    def explain(self, request: Request, model: str, version: str = "") -> Response:
        """Which words mattered for the answers to a V1 request."""
        parsed = v1.parse(request.json_body(), self._limits)
        answered = self._answering.explain(parsed, Target(model, version, request.sticky_id))
        rows = zip(answered.answers, answered.explanations, parsed.texts, strict=True)
        found = [v1.render_explanation(answer, why, text, answered.manifest) for answer, why, text in rows]
        return respond({"explanations": found, **_by(answered)})

    def infer(self, request: Request, model: str, version: str = "") -> Response:
        """Open Inference Protocol."""
        header = request.header(v2.BINARY_HEADER)
        parsed = v2.parse(request.body() if header else request.json_body(), self._limits, header)
        answered = self._answering.predict(parsed.request, Target(model, version, parsed.id or request.sticky_id))
        return respond(v2.render(answered.answers, parsed, answered.manifest, answered.backend))

    def tei(self, request: Request) -> Response:
        """Text Embeddings Inference and Hugging Face's Inference API, with the default model."""
        parsed = tei.parse(request.json_body(), self._limits)
        answered = self._answering.predict(parsed.request, Target(self._model, "", request.sticky_id))
        return respond(tei.render(answered.answers, single=parsed.single))

    def batch(self, request: Request) -> Response:
        """Where to upload a file that is to be scored."""
        return respond(self._batches.create(request.json_body()), 201)

    def batch_state(self, _: Request, identifier: str) -> Response:
        """How far its job is."""
        return respond(self._batches.state(identifier))

    def status(self, _: Request, model: str, version: str = "") -> Response:
        """TF-Serving's model status: every version in memory, and those that were refused, with the reason."""
        live = self._models.get(model)
        wanted = live.version(version).manifest.version if version else ""
        states = [v1.state(name, "AVAILABLE", labels=roles) for name, roles in live.states()]
        states += [v1.state(name, "END", "DATA_LOSS", why) for name, why in live.refused.items()]
        return respond({"model_version_status": [s for s in states if wanted in ("", s["version"])]})

    def metadata(self, request: Request, model: str, version: str = "") -> Response:
        """TF-Serving's model metadata: what a request and an answer look like."""
        return respond(v1.metadata(self._predictor(request, model, version).manifest))

    def server(self, _: Request) -> Response:
        """Open Inference Protocol: what this server is."""
        return respond(v2.server_metadata(self._models.default.current().manifest.version))

    def model(self, request: Request, model: str, version: str = "") -> Response:
        """Open Inference Protocol: inputs and outputs of a model."""
        manifest = self._predictor(request, model, version).manifest
        return respond(v2.model_metadata(manifest, [name for name, _ in self._models.get(model).states()]))

    def live(self, _: Request) -> Response:
        """The process answers."""
        return respond({"live": True})

    def ready(self, request: Request, model: str = "", version: str = "") -> Response:
        """A model answers: one golden example runs through it now."""
        predictor = self._predictor(request, model or self._model, version)
        predictor.predict([predictor.manifest.golden[0].text])
        return respond({"ready": True, "model_version": predictor.manifest.version})

    def info(self, _: Request) -> Response:
        """Text Embeddings Inference: what is served, and its limits."""
        return respond(tei.describe(self._models.default.current().manifest, self._limits))

    def playground(self, _: Request) -> Response:
        """The page to try the model on."""
        return _page("playground.html")

    def docs(self, _: Request) -> Response:
        """The page that describes the API."""
        return _page("docs.html")

    def openapi(self, _: Request) -> Response:
        """The API's description, as OpenAPI 3.1."""
        return respond_text((_PAGES / "openapi.json").read_text())

    @cached_property
    def _batches(self) -> "Batches":
        from functions.predict.batches import Batches  # no prediction needs it: 10 ms of a cold start

        return Batches(self._settings)

    def _dispatch(self, request: Request) -> Response:
        if whole := self._whole.get((request.method, request.path)):
            return whole(request)
        allowed = set()
        for method, pattern, answer in self._routes:
            if found := pattern.fullmatch(request.path):
                if method == request.method:
                    return answer(request, **found.groupdict())
                allowed.add(method)
        what = f"{request.method} {request.path[:200]}"
        if allowed:
            raise MethodNotAllowed(f"There is no {what}.", allowed=sorted(allowed))
        raise UnknownResource(f"There is no {what}.", remedy=f"There are {_EXAMPLES}.")

    def _predictor(self, request: Request, model: str, version: str) -> Predictor:
        return self._answering.predictor(Target(model, version, request.sticky_id))


def _by(answered: Answered) -> dict[str, str]:
    return {"model_version": answered.manifest.version, "backend": answered.backend}


def _problem(error: SlipwayError, request: Request) -> Response:
    status, headers, problem = to_problem(error, f"urn:uuid:{request.id}")
    telemetry.record_error(status, error)
    return respond(problem, status, PROBLEM, headers)


@cache
def _page(name: str) -> Response:
    """A page for people, whole in one file."""
    headers = {
        "Content-Security-Policy": _PAGE_POLICY,
        "Cache-Control": "max-age=300",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return respond_text((_PAGES / name).read_text(), 200, _HTML, headers)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[^/:]+)", path))  # a colon ends a name: what follows is a verb
