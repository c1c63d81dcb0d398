"""The one exception tree.

    SlipwayError                 whatever Slipway refuses, with the remedy in words
    ├── RequestError             the caller's request; carries the offending field
    │   ├── MalformedRequest     not readable as what it claims to be          → 400
    │   ├── UnknownResource      no such model, version or route               → 404
    │   ├── MethodNotAllowed     a method that does nothing at this path       → 405
    │   ├── RequestTooLarge      over a stated limit                           → 413
    │   ├── UnsupportedMedia     a content type nobody promised to read        → 415
    │   └── InvalidRequest       readable, but a field's value cannot be used  → 422
    ├── ModelUnavailable         nothing to answer with yet; try again         → 503
    ├── ArtifactError            an artifact that must not be served
    │   └── DamagedArtifact      its bytes are not what its manifest says
    ├── StoreError               the model store refused or could not be reached
    │   ├── NoSuchObject         an object that is not there
    │   ├── UnknownVersion       no complete version of that name
    │   └── Conflict             somebody else changed the live pointer first
    ├── BatchError               a file that cannot be scored; its owner reads why
    ├── BuildError               the offline build cannot go on
    │   └── GateFailed           a measured property is outside its bound
    └── SettingsError            a missing or unusable environment variable

``slipway.problems.to_problem`` is the one place that maps the tree to HTTP; ``model_build.cli`` is the one that maps
it to exit codes. What ``slipway.client`` raises is drawn in ``slipway.client.errors``; what prices raise is
``slipway.prices.PriceError``.
"""

from collections.abc import Sequence


class SlipwayError(Exception):
    """``detail`` names the offending value; ``remedy`` says what to do about it."""

    def __init__(self, detail: str, *, remedy: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.detail} {self.remedy}".strip()


class RequestError(SlipwayError):
    """``field`` is a path into the request, such as ``instances[3].text``, or empty for the request as a whole."""

    def __init__(self, detail: str, *, field: str = "", remedy: str = "") -> None:
        super().__init__(detail, remedy=remedy)
        self.field = field


class MalformedRequest(RequestError):
    """Not readable: broken JSON, broken UTF-8, broken base64."""


class UnknownResource(RequestError):
    """No such model, version or route."""


class MethodNotAllowed(RequestError):
    """``allowed`` are the methods that the path has."""

    def __init__(self, detail: str, *, allowed: Sequence[str] = ()) -> None:
        super().__init__(detail, remedy=f"It has {', '.join(allowed)}.")
        self.allowed = allowed


class RequestTooLarge(RequestError):
    """Over a stated limit of bytes, instances or tokens."""


class UnsupportedMedia(RequestError):
    """A content type that is not JSON."""


class InvalidRequest(RequestError):
    """Well-formed, but a value has the wrong type or is out of range."""


class ModelUnavailable(SlipwayError):
    """No model can answer at the moment."""


class ArtifactError(SlipwayError):
    """An artifact that is damaged, incomplete or answers differently from what its manifest says."""


class DamagedArtifact(ArtifactError):
    """Bytes that are not what the manifest says: fetched again they may be whole."""


class StoreError(SlipwayError):
    """The model store refused, lacks the object, or could not be reached."""


class NoSuchObject(StoreError):
    """The object that was asked for is not there."""


class UnknownVersion(StoreError):
    """No complete version of that name is in the store."""


class Conflict(StoreError):
    """The live pointer changed between reading and writing it."""


class BatchError(SlipwayError):
    """A file, or what was asked for it, cannot be scored as a whole: the detail is for its owner."""


class BuildError(SlipwayError):
    """The offline build cannot go on: data, configuration or environment."""


class GateFailed(BuildError):
    """One or more gates refused the model."""


class SettingsError(SlipwayError):
    """A required environment variable is missing or cannot be read."""
