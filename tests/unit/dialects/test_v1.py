"""TF-Serving's dialect: hostile bodies become request errors that name the field and never quote a text."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.answers import answer
from slipway.dialects.v1 import parse, render
from slipway.errors import (
    InvalidRequest,
    MalformedRequest,
    RequestError,
    RequestTooLarge,
)
from slipway.predictor import Predictor
from slipway.problems import to_problem
from slipway.requests import Limits, Parameters, PredictRequest

LIMITS = Limits(body_bytes=4_400_000, instances=1_000)
SECRET = "Zx9secretQw"

_any_text = st.text(max_size=30) | st.sampled_from(["\ud83d", "text \udc00", "\0", "text", "instances"])
_leaves = st.none() | st.booleans() | st.integers() | st.floats() | _any_text
_values: st.SearchStrategy[Any] = st.recursive(
    _leaves, lambda v: st.lists(v, max_size=4) | st.dictionaries(_any_text, v, max_size=4), max_leaves=10
)
_near_misses = st.fixed_dictionaries(
    {"instances": _values | st.lists(_values | st.fixed_dictionaries({"text": _values}), max_size=4)},
    optional={"parameters": _values | st.fixed_dictionaries({}, optional={"truncate": _values, "top_k": _values})},
)


def _parse(document: object) -> PredictRequest:
    return parse(json.dumps(document).encode(), LIMITS)


def _answers(predictor: Predictor, texts: list[str], parameters: Parameters) -> list[dict[str, Any]]:
    return render(answer(predictor.predict(texts), predictor.manifest, parameters))


def _refused(body: bytes, kind: type[RequestError]) -> RequestError:
    with pytest.raises(kind) as caught:
        parse(body, LIMITS)
    assert type(caught.value) is kind
    return caught.value


def _refused_document(document: object, kind: type[RequestError] = InvalidRequest) -> RequestError:
    return _refused(json.dumps(document).encode(), kind)


def _only_request_errors(body: bytes) -> None:
    try:
        request = parse(body, LIMITS)
    except RequestError as error:
        json.dumps(to_problem(error, "urn:uuid:1"), ensure_ascii=False).encode()  # what the runtime does with it
    else:
        assert request.texts
        assert all(isinstance(text, str) and text.encode() for text in request.texts)


@settings(max_examples=800, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_request_errors(body: bytes) -> None:
    _only_request_errors(body)


@settings(max_examples=800, deadline=None)
@given(_values)
def test_random_json_raises_nothing_but_request_errors_that_can_be_sent(document: object) -> None:
    _only_request_errors(json.dumps(document).encode())


@settings(max_examples=800, deadline=None)
@given(_near_misses)
def test_near_misses_raise_nothing_but_request_errors_that_can_be_sent(document: object) -> None:
    _only_request_errors(json.dumps(document).encode())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), min_size=1, max_size=5), st.data())
def test_what_was_sent_is_what_is_classified(texts: list[str], data: st.DataObject) -> None:
    wrapped = [{"text": text} if data.draw(st.booleans()) else text for text in texts]
    for ascii_only in (True, False):
        body = json.dumps({"instances": wrapped}, ensure_ascii=ascii_only).encode()
        assert parse(body, LIMITS) == PredictRequest(texts, Parameters(), "instances")


_secret_leaves = st.sampled_from([SECRET, f"a {SECRET} text", f"\ud800{SECRET}", f"{SECRET}\0"]) | st.integers()
_secrets: st.SearchStrategy[Any] = st.recursive(
    _secret_leaves,
    lambda v: (
        st.lists(v, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "instances", "parameters", "truncate", "top_k", "x"]), v, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(document=_secrets, cut=st.integers(0, 40))
def test_no_problem_ever_quotes_a_text_of_the_caller(document: object, cut: int) -> None:
    whole = json.dumps(document).encode()
    for body in (whole, whole[: len(whole) - cut], whole + b"}", whole.replace(b'"', b"'")):
        try:
            parse(body, LIMITS)
        except RequestError as error:
            said = json.dumps(to_problem(error, "urn:uuid:1")) + str(error)
        else:
            said = ""
        assert SECRET not in said


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"instances": ["a"]',
        b"instances=a",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"instances": [' + b"9" * 5_000 + b"]}",
        b'{"instances": ["a\nb"]}',
        b'{"instances": ["a"]} trailing',
        b"{'instances': ['a']}",
        '{"instances": ["Größe"]}'.encode("latin-1"),
        '{"instances": ["a"]}'.encode("utf-16"),
        b'{"instances": ["\xed\xa0\x80"]}',
        b"\x1f\x8b\x08gzip",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_not_json_in_utf8_is_malformed(body: bytes) -> None:
    error = _refused(body, MalformedRequest)
    assert to_problem(error, "")[0] == 400


def test_broken_json_is_located() -> None:
    assert "line 2, column 3" in _refused(b'{"instances":\n  ]}', MalformedRequest).detail


def test_a_byte_order_mark_is_no_harm() -> None:
    assert parse(b'\xef\xbb\xbf{"instances": ["a"]}', LIMITS).texts == ["a"]


def test_seven_megabytes_are_too_large_and_the_remedy_is_named() -> None:
    error = _refused(b'{"instances": ["' + b"a" * 7_000_000 + b'"]}', RequestTooLarge)
    assert "7,000,019 bytes; 4,400,000 fit" in error.detail
    assert "fewer" in error.remedy


def test_the_limits_themselves_fit() -> None:
    body = b'{"instances": ["a"]}'
    assert parse(body, Limits(body_bytes=len(body), instances=1)).texts == ["a"]
    with pytest.raises(RequestTooLarge):
        parse(body, Limits(body_bytes=len(body) - 1, instances=1))
    assert len(_parse({"instances": ["a"] * 1_000}).texts) == 1_000


def test_five_thousand_instances_are_too_many_and_the_remedy_is_named() -> None:
    error = _refused_document({"instances": ["a"] * 5_000}, RequestTooLarge)
    assert (error.field, error.detail) == ("instances", "5,000 texts were sent; 1,000 fit.")
    assert "fewer" in error.remedy


@pytest.mark.parametrize(
    ("document", "field", "said"),
    [
        ([], "", "not an empty list"),
        (None, "", "not null"),
        ("text", "", "not a text"),
        (5, "", "not a number"),
        ({}, "instances", "not null"),
        ({"instances": None}, "instances", "not null"),
        ({"instances": []}, "instances", "not an empty list"),
        ({"instances": "one text"}, "instances", "not a text"),
        ({"instances": {"text": "a"}}, "instances", "not an object"),
        ({"instances": ["a", 5]}, "instances[1]", "not a number"),
        ({"instances": ["a", True]}, "instances[1]", "not true or false"),
        ({"instances": [None]}, "instances[0]", "not null"),
        ({"instances": [["a"]]}, "instances[0]", "not a list"),
        ({"instances": [{}]}, "instances[0].text", "not null"),
        ({"instances": ["a", {"text": 1.5}]}, "instances[1].text", "not a number"),
        ({"instances": [float("nan")]}, "instances[0]", "not a number"),
        ({"instances": [float("inf")]}, "instances[0]", "not a number"),
        ({"instances": [{"text": "a", "id": 1}]}, "instances[0].id", "'instances[0].id' is not a known field"),
        ({"instances": [""]}, "instances[0]", "is empty"),
        ({"instances": ["a", " \n\u3000"]}, "instances[1]", "is empty"),
        ({"instances": [{"text": ""}]}, "instances[0].text", "is empty"),
        ({"instances": ["\ud83d"]}, "instances[0]", "surrogate pair at character 0"),
        ({"instances": [{"text": "ab\udc00"}]}, "instances[0].text", "surrogate pair at character 2"),
        ({"instances": ["a"], "signature": "x"}, "signature", "'signature' is not a known field"),
        ({"instances": ["a"], "parameters": None}, "parameters", "must be an object, not null"),
        ({"instances": ["a"], "parameters": []}, "parameters", "not an empty list"),
        ({"instances": ["a"], "parameters": {"topk": 1}}, "parameters.topk", "'parameters.topk' is not a known"),
        (
            {"instances": ["a"], "parameters": {"truncate": "middle"}},
            "parameters.truncate",
            "left, error, windows",
        ),
        ({"instances": ["a"], "parameters": {"truncate": True}}, "parameters.truncate", "not true or false"),
        ({"instances": ["a"], "parameters": {"truncate": ["right"]}}, "parameters.truncate", "not a list"),
        ({"instances": ["a"], "parameters": {"truncate": None}}, "parameters.truncate", "not null"),
        ({"instances": ["a"], "parameters": {"top_k": 0}}, "parameters.top_k", "a whole number from 1"),
        ({"instances": ["a"], "parameters": {"top_k": -1}}, "parameters.top_k", "a whole number from 1"),
        ({"instances": ["a"], "parameters": {"top_k": 1.5}}, "parameters.top_k", "a whole number from 1"),
        ({"instances": ["a"], "parameters": {"top_k": True}}, "parameters.top_k", "not true or false"),
        ({"instances": ["a"], "parameters": {"top_k": "2"}}, "parameters.top_k", "not a text"),
        ({"instances": ["a"], "parameters": {"top_k": float("inf")}}, "parameters.top_k", "not a number"),
        ({"instances": ["a"], "parameters": {"raw_scores": 1}}, "parameters.raw_scores", "true or false, not a number"),
        ({"instances": ["a"], "parameters": {"abstain_below": 1.1}}, "parameters.abstain_below", "from 0 to 1"),
        ({"instances": ["a"], "parameters": {"abstain_below": True}}, "parameters.abstain_below", "true or false"),
        (
            {"instances": ["a"], "parameters": {"abstain_below": float("nan")}},
            "parameters.abstain_below",
            "from 0 to 1",
        ),
    ],
    ids=repr,
)
def test_a_wrong_value_is_named_by_field_and_kind(document: object, field: str, said: str) -> None:
    error = _refused_document(document)
    assert (error.field, to_problem(error, "")[0]) == (field, 422)
    assert said in error.detail


@pytest.mark.parametrize(
    "document",
    [{}, {"instances": [5]}, {"instances": [""]}, {"instances": ["\ud800"]}, {"x": 1}, [], {"instances": [{"x": 1}]}],
    ids=repr,
)
def test_a_wrong_shape_comes_with_the_remedy(document: object) -> None:
    assert _refused_document(document).remedy


def test_an_unknown_field_that_cannot_be_written_in_utf8_can_still_be_answered() -> None:
    error = _refused(b'{"instances": ["a"], "\\ud800": 1}', InvalidRequest)
    json.dumps(to_problem(error, "urn:uuid:1"), ensure_ascii=False).encode()


def test_an_unknown_field_is_quoted_only_so_far() -> None:
    error = _refused_document({"x" * 10_000: 1})
    assert len(str(error)) < 200


def test_of_duplicate_keys_the_last_counts() -> None:
    assert parse(b'{"instances": ["a"], "instances": ["b"]}', LIMITS).texts == ["b"]


def test_parameters_are_read() -> None:
    request = _parse({"instances": ["a"], "parameters": {"truncate": "left", "top_k": 2}})
    assert request.parameters == Parameters("left", 2)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert _parse({"instances": ["a"], "parameters": {"top_k": 2.0}}).parameters.top_k == 2
    assert _parse({"instances": ["a"], "parameters": {"top_k": None}}).parameters.top_k is None


def test_a_huge_but_whole_top_k_is_all_labels(predictor: Predictor) -> None:
    request = _parse({"instances": ["a good film"], "parameters": {"top_k": 10**4_000}})
    (first,) = _answers(predictor, request.texts, request.parameters)
    assert set(first["scores"]) == set(predictor.manifest.labels)


def test_an_answer_names_the_best_label_and_its_scores_from_the_highest_down(predictor: Predictor) -> None:
    for found in _answers(predictor, ["a superb lovely film", "an awful boring film"], Parameters()):
        scores = list(found["scores"].values())
        assert scores == sorted(scores, reverse=True)
        assert next(iter(found["scores"].items())) == (found["label"], found["score"])
        assert sum(scores) == pytest.approx(1, abs=1e-6)
        assert set(found) == {"label", "score", "scores", "tokens", "truncated"}
        json.dumps(found, allow_nan=False)


def test_top_k_limits_the_scores_and_not_the_label(predictor: Predictor) -> None:
    (whole,), (first,) = (_answers(predictor, ["a superb film"], Parameters(top_k=k)) for k in (None, 1))
    assert first == {**whole, "scores": {whole["label"]: whole["score"]}}
