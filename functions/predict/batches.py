"""``/v1/batches``: a presigned upload that starts a batch job, and how far a job is.

boto3 is imported when one of them is first asked for: no prediction needs it.
"""

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from slipway.batch.job import SIDECAR
from slipway.batch.state import BatchBody, State, Upload, new_upload, state_of
from slipway.errors import InvalidRequest, UnknownResource
from slipway.requests import named, only, read_json, read_parameters, read_text
from slipway.settings import Settings

if TYPE_CHECKING:
    from slipway.objects import Objects

EXPIRES = 3_600  # seconds; not beyond the function's own credentials


class Batches:
    """The batch jobs of one deployment's default model."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = settings.data_bucket
        self._model = settings.model

    def create(self, body: bytes) -> Upload:
        """Where to upload a file, which starts a job. Raises a RequestError."""
        document = read_json(body)
        only(document, tuple(BatchBody.__annotations__))
        if (model := document.get("model", self._model)) != self._model:
            raise UnknownResource(f"Files are scored with {self._model!r} here.", field="model")
        identifier, key = new_upload(self._model, read_text(document.get("name"), "name"))
        objects = self._objects
        if asked := _asked(document):
            objects.write(key + SIDECAR, [json.dumps(asked).encode()])
        return {
            "id": identifier,
            "model": model,
            "upload": {"method": "PUT", "url": objects.upload_url(key, seconds=EXPIRES), "expires_in": EXPIRES},
            "bucket": objects.bucket,
            "key": key,
        }

    def state(self, identifier: str) -> State:
        """How far a job is, by its id or its upload's. Raises UnknownResource."""
        return state_of(self._objects, self._model, identifier, self._bucket)

    @cached_property
    def _objects(self) -> "Objects":
        if not self._bucket:
            raise UnknownResource("This deployment scores no files.", remedy="Deploy the batch stack.")
        from slipway.objects import Objects

        return Objects(self._bucket, "")


def _asked(document: dict[str, Any]) -> dict[str, Any]:
    """What becomes the file's sidecar; empty if nothing was asked. Raises InvalidRequest."""
    parameters = document.get("parameters", {})
    read_parameters(parameters)
    column = document.get("text_column", "")
    if not isinstance(column, str):
        raise InvalidRequest(f"text_column must be a text, not {named(column)}.", field="text_column")
    return {**parameters, **({"text_column": column} if column else {})}
