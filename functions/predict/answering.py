"""What happens between a parsed request and its answer, the same for every dialect."""

import time
from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from functions.predict import telemetry, tracing
from functions.predict.models import Models
from functions.predict.shadowing import Shadowing
from functions.predict.watching import watched
from slipway.answers import Answer, answer
from slipway.artifact import Manifest
from slipway.errors import InvalidRequest
from slipway.predictor import Predictor
from slipway.requests import PredictRequest, check_tokens
from slipway.settings import Settings

if TYPE_CHECKING:
    from functions.predict.router import Router
    from functions.predict.trials import Ask, Trials
    from slipway.explain import Explanation


class Target(NamedTuple):
    """Who is asked: a model by name; a version or label of it, or "" for whatever serves ``request_id``."""

    model: str
    version: str
    request_id: str


class Times(NamedTuple):
    """When a version was chosen, the texts were encoded and then answered, of ``time.perf_counter``."""

    chosen: float
    encoded: float
    answered: float
    by_endpoint: bool


class Answered(NamedTuple):
    """For a dialect to render. ``tokens`` are of all texts; ``explanations`` has one a text where they were wanted.

    Not rendered are ``times``, whether the request was ``for_gpu``, be it that the CPU answered in the end, and
    ``drift``, which is what the log keeps of the texts (``functions.predict.watching``).
    """

    answers: list[Answer]
    manifest: Manifest
    backend: str
    tokens: int
    explanations: "Sequence[Explanation]" = ()
    drift: str = ""
    times: Times | None = None
    for_gpu: bool = False


class Answering:
    """The one way from texts to answers: budget, model, canary or live, CPU or GPU, shadow, telemetry."""

    def __init__(
        self, settings: Settings, models: Models, shadowing: Shadowing, router: "Router | None" = None
    ) -> None:
        self._settings = settings
        self._models = models
        self._shadowing = shadowing
        self._router = router

    def predictor(self, target: Target) -> Predictor:
        """The live version where no other is named. Raises UnknownResource or ModelUnavailable."""
        model = self._models.get(target.model)
        return model.version(target.version) if target.version else model.current()

    def predict(self, request: PredictRequest, target: Target) -> Answered:
        """Classify the texts. Raises a RequestError or ModelUnavailable."""
        started = time.perf_counter()
        answered = self._ask(request, target, partial(self._predict, request, target))
        if not target.version:
            self._shadow(target, request, answered.answers)
        self._record(answered, started, sure=not request.parameters.raw_scores)
        if answered.times:
            tracing.send(_stages(started, answered.times))
        return answered

    def explain(self, request: PredictRequest, target: Target) -> Answered:
        """Classify the texts and weigh their words; all of them share one budget of tokens."""
        started = time.perf_counter()
        if request.parameters.truncation != "right":
            raise InvalidRequest(
                "A text is explained from its beginning as far as the model reads.", field="parameters.truncate"
            )
        answered = self._ask(request, target, partial(self._explain, request))
        # It encodes and runs by turns: all of it counts as run.
        self._record(answered, started, sure=not request.parameters.raw_scores)
        return answered

    def _ask(self, request: PredictRequest, target: Target, ask: "Ask") -> Answered:
        model = self._models.get(target.model)
        if target.version:
            return ask(model.version(target.version))
        chosen = model.choose(target.request_id)
        if chosen.pointer.canary is None:
            return ask(chosen.predictor)
        return self._trials.ask(target.model, model, request, chosen, ask)

    def _predict(
        self, request: PredictRequest, target: Target, predictor: Predictor, *, candidate: bool = False
    ) -> Answered:
        chosen_at = time.perf_counter()
        encoded = predictor.encoder.encode(
            request.texts, truncation=request.parameters.truncation, source=request.source
        )
        encoded_at = time.perf_counter()
        tokens = sum(each.cost for each in encoded)
        check_tokens(tokens, self._settings.max_request_tokens, request.source)
        for_gpu = self._is_for_gpu(target, tokens)
        routed = None
        if self._router and for_gpu and not candidate:
            routed = self._router.predict(request, predictor.manifest.version)
        if routed:
            answers, backend = routed
        else:
            answers = answer(predictor.classify(encoded), predictor.manifest, request.parameters)
            backend = _backend(predictor)
        drift = "" if request.parameters.raw_scores else watched(predictor.bins, encoded, answers)
        times = Times(chosen_at, encoded_at, time.perf_counter(), by_endpoint=routed is not None)
        return Answered(answers, predictor.manifest, backend, tokens, drift=drift, times=times, for_gpu=for_gpu)

    def _explain(self, request: PredictRequest, predictor: Predictor, *, candidate: bool = False) -> Answered:  # noqa: ARG002  no GPU explains
        from slipway.explain import explain  # no prediction needs it

        found: list[Explanation] = []
        for text in request.texts:
            left = self._settings.max_request_tokens - sum(explanation.cost for explanation in found)
            found.append(explain(predictor, text, max_tokens=left))
        answers = answer([explanation.base for explanation in found], predictor.manifest, request.parameters)
        tokens = sum(explanation.cost for explanation in found)
        return Answered(answers, predictor.manifest, _backend(predictor), tokens, found)

    @cached_property
    def _trials(self) -> "Trials":
        """No start needs it, and few have a canary."""
        from functions.predict.trials import Trials
        from slipway.bakes.records import Records

        return Trials(lambda model: Records(self._settings.model_bucket, model, serving=True))

    def _is_for_gpu(self, target: Target, tokens: int) -> bool:
        """Whether the endpoint, which has the live version of the default model, is to answer."""
        if self._router is None or target.version or target.model != self._settings.model:
            return False
        return self._router.wants(tokens)

    def _shadow(self, target: Target, request: PredictRequest, answers: Sequence[Answer]) -> None:
        """Let the shadow candidate score a sampled request: encoded anew, since its tokenizer may be another one."""
        candidate = self._models.get(target.model).shadow(target.request_id)
        if candidate is not None:
            encode = partial(candidate.encoder.encode, request.texts, truncation=request.parameters.truncation)
            self._shadowing.submit(candidate, encode, [each.label or "" for each in answers])

    @staticmethod
    def _record(answered: Answered, started: float, *, sure: bool) -> None:
        times = answered.times
        telemetry.record(
            telemetry.Served(
                model_version=answered.manifest.version,
                backend=answered.backend,
                labels=[each.label or "" for each in answered.answers],
                tokens=answered.tokens,
                milliseconds=(time.perf_counter() - started) * 1e3,
                encode_ms=(times.encoded - times.chosen) * 1e3 if times else 0.0,
                confidences=[each.score for each in answered.answers] if sure else (),
                drift=answered.drift,
            )
        )


def _stages(started: float, times: Times) -> tuple[tracing.Stage, ...]:
    return (
        tracing.Stage("store", started, times.chosen),
        tracing.Stage("encode", times.chosen, times.encoded),
        tracing.Stage("endpoint" if times.by_endpoint else "session", times.encoded, times.answered),
    )


def _backend(predictor: Predictor) -> str:
    return f"cpu-{predictor.manifest.serve}"
