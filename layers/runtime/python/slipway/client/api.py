"""The API's routes as methods."""

import json
import os
import ssl
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Literal, Self, TypedDict, Unpack
from urllib.parse import quote

from slipway.client.address import check_request_id, read_url
from slipway.client.credentials import Credential, bearer
from slipway.client.credentials import api_key as with_key
from slipway.client.errors import ClientError, NotSent
from slipway.client.patience import Clock, Patience
from slipway.client.results import (
    BatchState,
    Explanation,
    ModelVersion,
    Prediction,
    read_batch,
    read_explanation,
    read_predictions,
    read_upload,
    read_versions,
)
from slipway.client.splitting import Part, Splitter
from slipway.client.transport import Reply, Request, Transport
from slipway.client.uploading import Progress, put_file
from slipway.errors import SettingsError
from slipway.settings import PREFIX


class Parameters(TypedDict, total=False):
    """How to answer; what is left out is the service's default.

    ``truncate`` is what happens to a text that is longer than the model reads: ``windows`` reads all of it. ``top_k``
    limits the labels in ``scores``. Below the probability ``abstain_below`` no label is given. ``raw_scores`` asks for
    logits.
    """

    truncate: Literal["right", "left", "error", "windows"]
    top_k: int | None
    abstain_below: float
    raw_scores: bool


class Client:
    """One model of one deployment. Safe to use from several threads; close it, or use it in a ``with``.

    ``version`` in a call is a version, or ``live``, ``canary`` or ``shadow``; left out, the service chooses.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str,
        api_key: str = "",
        credential: Credential | None = None,
        patience: Patience | None = None,
        allow_http: bool = False,
        tls: ssl.SSLContext | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``credential``, by ``bearer`` or ``signature``, is for an API that asks for tokens or signatures, not keys.

        ``tls`` says which certificates are trusted, by default those that the system trusts.

        ``http://`` is for this machine only, unless ``allow_http``. ``clock`` is for tests. Raises NotSent for an
        argument that cannot be used.
        """
        if not model:
            raise NotSent("The model has no name.", field="model", remedy="Give the deployment's model.")
        self._address = read_url(url, allow_http=allow_http)
        self._model = model
        if api_key and credential:
            raise NotSent("There are two credentials.", field="credential", remedy="Give api_key or credential.")
        credential = credential or with_key(api_key)
        self._transport = Transport(self._address, credential, patience or Patience(), clock or Clock(), tls)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """A client as SLIPWAY_URL, SLIPWAY_MODEL and, where there is one, SLIPWAY_API_KEY or SLIPWAY_TOKEN say.

        Raises SettingsError naming the variable that is missing.
        """
        env = os.environ if env is None else env
        for name in ("URL", "MODEL"):
            if not env.get(PREFIX + name):
                raise SettingsError(f"The environment variable {PREFIX}{name} is not set.", remedy=_REMEDIES[name])
        key, token = env.get(f"{PREFIX}API_KEY", ""), env.get(f"{PREFIX}TOKEN", "")
        credential = bearer(token) if token else None
        return cls(env[f"{PREFIX}URL"], model=env[f"{PREFIX}MODEL"], api_key=key, credential=credential)

    def predict(
        self, text: str, *, version: str = "", request_id: str = "", **parameters: Unpack[Parameters]
    ) -> Prediction:
        """Classify one text.

        ``request_id`` is a new one by default; calls with the same one are answered by the same side of a canary.
        """
        splitter = Splitter(parameters)
        (part,) = splitter.split([text])
        reply = self._post("predict", version, splitter.body(part), request_id)
        return read_predictions(reply.body, 1)[0]

    def predict_many(
        self,
        texts: Iterable[str],
        *,
        version: str = "",
        size: int = 256,
        in_flight: int = 4,
        **parameters: Unpack[Parameters],
    ) -> Iterator[Prediction]:
        """Classify any number of texts; the answers come in the texts' order, while later texts are still being read.

        ``size`` texts, or fewer if they are long, make one request, and ``in_flight`` requests are under way at once.
        Requests that the service finds too large are halved. An error comes after the answers to the texts before its
        request, its ``row`` counts among all texts, and it ends the iteration, as does the first text that cannot be
        sent; requests that were under way are not waited for. With a canary, requests may be answered by different
        versions: give ``version`` to rule that out.
        """
        if isinstance(texts, str):
            raise NotSent("texts is one text.", field="texts", remedy="Call predict, or give a list of texts.")
        if in_flight < 1:
            raise NotSent(f"in_flight is {in_flight!r}.", field="in_flight", remedy="Give 1 or more.")
        return self._in_order(Splitter(parameters, size=size), texts, version, in_flight)

    def explain(
        self, text: str, *, version: str = "", request_id: str = "", **parameters: Unpack[Parameters]
    ) -> Explanation:
        """Which words of the text mattered for its answer. Takes as long as one text a word."""
        splitter = Splitter(parameters)
        (part,) = splitter.split([text])
        return read_explanation(self._post("explain", version, splitter.body(part), request_id).body)

    def versions(self) -> list[ModelVersion]:
        """The versions in memory of the function that answers, and those that it refused."""
        return read_versions(self._transport.send(Request("GET", self._path(), _new_id())).body)

    def upload(
        self,
        path: str | os.PathLike[str],
        *,
        text_column: str = "",
        progress: Progress = lambda sent, size: None,  # noqa: ARG005
        **parameters: Unpack[Parameters],
    ) -> str:
        """Hand over a file to be scored row by row; the id of its job, for ``batch`` and ``wait``.

        ``progress`` is told how many bytes were sent, of how many. What is read is in docs/batch.md.
        """
        file = Path(path)
        if not file.is_file():
            raise NotSent(f"{file} is no file.", field="path")
        asked = {"name": file.name, "text_column": text_column, "parameters": parameters}
        body = json.dumps({name: value for name, value in asked.items() if value}).encode()
        identifier, url = read_upload(self._transport.send(Request("POST", "/v1/batches", _new_id(), body)).body)
        patience, clock, tls = self._transport.manner
        put_file(url, file, progress=progress, patience=patience, clock=clock, tls=tls)
        return identifier

    def batch(self, identifier: str) -> BatchState:
        """How far a job is."""
        path = f"/v1/batches/{quote(identifier, safe='')}"
        return read_batch(self._transport.send(Request("GET", path, _new_id())).body)

    def wait(
        self,
        identifier: str,
        *,
        timeout: float = 3_600.0,
        every: float = 2.0,
        progress: Callable[[BatchState], None] = lambda _: None,
    ) -> BatchState:
        """The state of a job once it has ended, finished or failed. Raises TimeoutError after ``timeout`` seconds."""
        clock = self._transport.manner[1]
        end = clock.now() + timeout
        while not (state := self.batch(identifier)).ended:
            progress(state)
            if clock.now() + every > end:
                raise TimeoutError(f"The job {identifier} is still {state.state} after {timeout:g} s.")
            clock.sleep(every)
        progress(state)
        return state

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._address)!r}, model={self._model!r})"

    def _in_order(self, splitter: Splitter, texts: Iterable[str], version: str, in_flight: int) -> Iterator[Prediction]:
        threads = ThreadPoolExecutor(in_flight, "slipway-client")
        waiting: deque[Future[list[Prediction]]] = deque()
        try:
            for future in self._futures(threads, splitter, texts, version):
                waiting.append(future)
                if len(waiting) == 2 * in_flight:  # a slow request does not stop those behind it at once
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def _futures(
        self, threads: ThreadPoolExecutor, splitter: Splitter, texts: Iterable[str], version: str
    ) -> Iterator[Future[list[Prediction]]]:
        """The predictions of each part; what cannot be sent takes its turn among them."""
        try:
            for part in splitter.split(texts):
                yield threads.submit(self._predict_part, part, splitter, version)
        except NotSent as error:
            refused: Future[list[Prediction]] = Future()
            refused.set_exception(error)
            yield refused

    def _predict_part(self, part: Part, splitter: Splitter, version: str) -> list[Prediction]:
        try:
            reply = self._post("predict", version, splitter.body(part), "")
            return read_predictions(reply.body, len(part.texts))
        except ClientError as error:
            if error.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE or len(part.texts) == 1:
                _point_into(part, error)
                raise
        splitter.shrink(len(part.texts) // 2)
        return [each for half in part.halves() for each in self._predict_part(half, splitter, version)]

    def _post(self, verb: str, version: str, body: bytes, request_id: str) -> Reply:
        request_id = check_request_id(request_id) if request_id else _new_id()
        return self._transport.send(Request("POST", f"{self._path(version)}:{verb}", request_id, body))

    def _path(self, version: str = "") -> str:
        versioned = f"/versions/{quote(version, safe='')}" if version else ""
        return f"/v1/models/{quote(self._model, safe='')}{versioned}"


_REMEDIES = {
    "URL": "Set it to the ApiUrl that the deployment printed, stage included.",
    "MODEL": "Set it to the model that the deployment serves.",
}


def _point_into(part: Part, error: ClientError) -> None:
    """Say which of all texts the error is about."""
    last = part.first + len(part.texts) - 1
    error.add_note(f"The request had the texts of rows {part.first:,} to {last:,}, counted from 0.")
    if error.row is not None:
        error.row += part.first


def _new_id() -> str:
    return str(uuid.uuid4())
