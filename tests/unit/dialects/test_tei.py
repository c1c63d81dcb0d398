"""Hugging Face's dialect: what TEI and the Inference API accept, answer, and refuse."""

import json
from typing import Any

import pytest

from slipway.answers import answer
from slipway.dialects.tei import describe, parse, render
from slipway.errors import InvalidRequest
from slipway.predictor import Predictor
from slipway.requests import Limits, Parameters

LIMITS = Limits(body_bytes=100_000, instances=100)


def read(**document: Any) -> Any:
    return parse(json.dumps(document).encode(), LIMITS)


def test_one_text_is_answered_by_one_list_and_several_by_one_each(predictor: Predictor) -> None:
    for inputs, single in (("a film", True), (["a film"], False), ([["a film"], ["a bad film"]], False)):
        request = read(inputs=inputs)
        answers = answer(predictor.predict(request.request.texts), predictor.manifest, request.request.parameters)
        document = render(answers, single=request.single)
        first = document if single else document[0]
        assert [set(entry) for entry in first] == [{"label", "score"}] * 2
        assert first[0]["score"] >= first[1]["score"]


def test_a_client_of_the_inference_api_gets_a_list_a_text() -> None:
    request = read(inputs="a film", parameters={"top_k": 1, "function_to_apply": "none"})
    assert (request.single, request.request.parameters) == (False, Parameters(top_k=1, raw_scores=True))


@pytest.mark.parametrize(
    ("given", "truncation"),
    [
        ({}, "right"),
        ({"truncate": True}, "right"),
        ({"truncate": False}, "error"),
        ({"truncate": True, "truncation_direction": "Left"}, "left"),
        ({"truncate": None, "truncation_direction": "right"}, "right"),
    ],
)
def test_truncation_is_as_in_tei(given: dict[str, Any], truncation: str) -> None:
    assert read(inputs="a", **given).request.parameters.truncation == truncation


def test_a_pair_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(InvalidRequest, match="pair of texts") as caught:
        read(inputs=[["one", "other"]])
    assert caught.value.field == "inputs[0]"
    assert "two inputs" in caught.value.remedy


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "inputs"),
        ({"inputs": 5}, "inputs"),
        ({"inputs": []}, "inputs"),
        ({"inputs": [["a", "b", "c"]]}, "inputs[0]"),
        ({"inputs": [[5]]}, "inputs[0][0]"),
        ({"inputs": ""}, "inputs[0]"),
        ({"inputs": "a", "truncate": "yes"}, "truncate"),
        ({"inputs": "a", "truncation_direction": "up"}, "truncation_direction"),
        ({"inputs": "a", "truncation_direction": {}}, "truncation_direction"),
        ({"inputs": "a", "raw_scores": 1}, "raw_scores"),
        ({"inputs": "a", "raw_scores": ""}, "raw_scores"),
        ({"inputs": "a", "parameters": {"function_to_apply": "tanh"}}, "parameters.function_to_apply"),
        ({"inputs": "a", "parameters": []}, "parameters"),
        ({"inputs": "a", "prompt_name": "x"}, "prompt_name"),
    ],
)
def test_a_wrong_value_is_named_by_its_field(document: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**document)
    assert caught.value.field == field


def test_info_says_what_a_client_asks_before_it_sends_anything(predictor: Predictor) -> None:
    info = describe(predictor.manifest, LIMITS)
    assert info["model_type"]["classifier"]["id2label"] == {"0": "negative", "1": "positive"}
    assert (info["max_input_length"], info["max_client_batch_size"]) == (predictor.manifest.max_tokens, 100)
