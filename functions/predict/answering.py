"""What happens between a parsed request and its answer, the same for every dialect."""

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from functions.predict import telemetry, tracing
from functions.predict.live import LiveModel
from functions.predict.models import Models
from functions.predict.shadowing import Shadowing
from slipway.answers import Answer, answer
from slipway.artifact import Manifest
from slipway.errors import InvalidRequest
from slipway.predictor import Predictor
from slipway.requests import PredictRequest, check_tokens
from slipway.settings import Settings

if TYPE_CHECKING:
    from functions.predict.router import Routed, Router
    from slipway.explain import Explanation


class Target(NamedTuple):
    """Who is asked: a model by name; a version or label of it, or "" for whatever serves ``request_id``."""

    model: str
    version: str
    request_id: str


class Answered(NamedTuple):
    """For a dialect to render. ``explanations`` has one a text where they were asked for."""

    answers: list[Answer]
    manifest: Manifest
    backend: str
    explanations: "Sequence[Explanation]" = ()


class Answering:
    """The one way from texts to answers: budget, model, CPU or GPU, shadow, telemetry."""

    def __init__(
        self, settings: Settings, models: Models, shadowing: Shadowing, router: "Router | None" = None
    ) -> None:
        self._settings = settings
        self._models = models
        self._shadowing = shadowing
        self._router = router

    def predictor(self, target: Target) -> Predictor:
        """Raises UnknownResource or ModelUnavailable."""
        return _answering(self._models.get(target.model), target)

    def predict(self, request: PredictRequest, target: Target) -> Answered:
        """Classify the texts. Raises a RequestError or ModelUnavailable."""
        started = time.perf_counter()
        model = self._models.get(target.model)
        predictor = _answering(model, target)
        chosen_at = time.perf_counter()
        encoded = predictor.encoder.encode(
            request.texts, truncation=request.parameters.truncation, source=request.source
        )
        encoded_at = time.perf_counter()
        tokens = sum(each.cost for each in encoded)
        check_tokens(tokens, self._settings.max_request_tokens, request.source)
        routed = self._route(request, target, predictor, tokens)
        if routed:
            answers, backend = routed
        else:
            answers = answer(predictor.classify(encoded), predictor.manifest, request.parameters)
            backend = _backend(predictor)
        answered_at = time.perf_counter()
        if not target.version:
            self._shadow(model, target, request, answers)
        sure = not request.parameters.raw_scores
        answered = Answered(answers, predictor.manifest, backend)
        self._record(answered, tokens, started, encoded_at - chosen_at, sure=sure)
        tracing.send(
            (
                tracing.Stage("store", started, chosen_at),
                tracing.Stage("encode", chosen_at, encoded_at),
                tracing.Stage("endpoint" if routed else "session", encoded_at, answered_at),
            )
        )
        return answered

    def explain(self, request: PredictRequest, target: Target) -> Answered:
        """Classify the texts and weigh their words; all of them share one budget of tokens."""
        from slipway.explain import explain  # no prediction needs it

        started = time.perf_counter()
        if request.parameters.truncation != "right":
            raise InvalidRequest(
                "A text is explained from its beginning as far as the model reads.", field="parameters.truncate"
            )
        predictor = self.predictor(target)
        found: list[Explanation] = []
        for text in request.texts:
            left = self._settings.max_request_tokens - sum(explanation.cost for explanation in found)
            found.append(explain(predictor, text, max_tokens=left))
        answers = answer([explanation.base for explanation in found], predictor.manifest, request.parameters)
        answered = Answered(answers, predictor.manifest, _backend(predictor), found)
        tokens = sum(explanation.cost for explanation in found)
        # It encodes and runs by turns: all of it counts as run.
        self._record(answered, tokens, started, 0.0, sure=not request.parameters.raw_scores)
        return answered

    def _route(self, request: PredictRequest, target: Target, predictor: Predictor, tokens: int) -> "Routed | None":
        """The GPU's answers, where it is asked: it has the live version of the default model."""
        if self._router is None or target.version or target.model != self._settings.model:
            return None
        return self._router.predict(request, predictor.manifest.version, tokens)

    def _shadow(self, model: LiveModel, target: Target, request: PredictRequest, answers: Sequence[Answer]) -> None:
        """Let the shadow candidate score a sampled request: encoded anew, since its tokenizer may be another one."""
        candidate = model.shadow(target.request_id)
        if candidate is not None:
            encode = partial(candidate.encoder.encode, request.texts, truncation=request.parameters.truncation)
            self._shadowing.submit(candidate, encode, [each.label or "" for each in answers])

    @staticmethod
    def _record(answered: Answered, tokens: int, started: float, encoding: float, *, sure: bool) -> None:
        telemetry.record(
            telemetry.Served(
                model_version=answered.manifest.version,
                backend=answered.backend,
                labels=[each.label or "" for each in answered.answers],
                tokens=tokens,
                milliseconds=(time.perf_counter() - started) * 1e3,
                encode_ms=encoding * 1e3,
                confidences=[each.score for each in answered.answers] if sure else (),
            )
        )


def _answering(model: LiveModel, target: Target) -> Predictor:
    return model.version(target.version) if target.version else model.choose(target.request_id).predictor


def _backend(predictor: Predictor) -> str:
    return f"cpu-{predictor.manifest.serve}"
