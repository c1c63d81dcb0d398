"""Every error has its status, and its problem document tells the caller what to do and nothing of our insides."""

import json

import pytest

from slipway.errors import (
    ArtifactError,
    BatchError,
    BuildError,
    Conflict,
    DamagedArtifact,
    GateFailed,
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    ModelUnavailable,
    NoSuchObject,
    RequestError,
    RequestTooLarge,
    SettingsError,
    SlipwayError,
    StoreError,
    UnknownResource,
    UnknownVersion,
    UnsupportedMedia,
)
from slipway.problems import to_problem

_STATUSES: dict[type[SlipwayError], int] = {
    SlipwayError: 500,
    RequestError: 500,
    MalformedRequest: 400,
    UnknownResource: 404,
    MethodNotAllowed: 405,
    RequestTooLarge: 413,
    UnsupportedMedia: 415,
    InvalidRequest: 422,
    ModelUnavailable: 503,
    ArtifactError: 500,
    DamagedArtifact: 500,
    StoreError: 500,
    NoSuchObject: 500,
    UnknownVersion: 500,
    Conflict: 500,
    BatchError: 500,
    BuildError: 500,
    GateFailed: 500,
    SettingsError: 500,
}


def _kinds(kind: type[SlipwayError]) -> set[type[SlipwayError]]:
    below = [_kinds(child) for child in kind.__subclasses__() if child.__module__ == "slipway.errors"]
    return {kind}.union(*below)


def test_this_table_knows_every_class_of_the_tree() -> None:
    assert set(_STATUSES) == _kinds(SlipwayError)


@pytest.mark.parametrize(("kind", "status"), _STATUSES.items(), ids=lambda value: getattr(value, "__name__", value))
def test_every_error_becomes_a_problem_document(kind: type[SlipwayError], status: int) -> None:
    error = kind("what is wrong", remedy="what to do") if kind is not MethodNotAllowed else _not_allowed()
    found, headers, problem = to_problem(error, "urn:uuid:7")
    assert (found, problem["status"], problem["instance"], problem["type"]) == (
        status,
        status,
        "urn:uuid:7",
        "about:blank",
    )
    assert problem["title"]
    assert ("Retry-After" in headers) == (status == 503)
    if status == 500:
        assert "what is wrong" not in json.dumps(problem), "a fault of ours tells nothing of our insides"
        assert problem["remedy"]
    else:
        assert (problem["detail"], problem["remedy"]) == ("what is wrong", "what to do")
        assert problem["error"] == "what is wrong what to do", "where clients of Triton and TEI look"


def _not_allowed() -> MethodNotAllowed:
    error = MethodNotAllowed("what is wrong", allowed=["GET", "POST"])
    assert to_problem(error, "")[1] == {"Allow": "GET, POST"}
    error.remedy = "what to do"
    return error


def test_a_problem_names_the_field_only_where_there_is_one() -> None:
    assert to_problem(InvalidRequest("x", field="instances[2]"), "")[2]["field"] == "instances[2]"
    assert "field" not in to_problem(InvalidRequest("x"), "")[2]
    assert "remedy" not in to_problem(InvalidRequest("x"), "")[2]
