"""The Open Inference Protocol: tensors in JSON and in binary, and every way to get them wrong."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.answers import answer
from slipway.dialects.v2 import InferRequest, model_metadata, parse, render
from slipway.errors import InvalidRequest, MalformedRequest, RequestError, RequestTooLarge
from slipway.predictor import Predictor
from slipway.problems import to_problem
from slipway.requests import Limits, Parameters

LIMITS = Limits(body_bytes=100_000, instances=100)
_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_values: st.SearchStrategy[Any] = st.recursive(
    _leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=8), v, max_size=3), max_leaves=6
)


def tensor(*texts: Any, **changes: Any) -> dict[str, Any]:
    return {"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": list(texts)} | changes


def body(*tensors: Any, **members: Any) -> bytes:
    return json.dumps({"inputs": list(tensors)} | members).encode()


def binary(*texts: bytes, size: int | None = None, shape: list[int] | None = None) -> tuple[bytes, str]:
    """A body with its texts in binary, and the header that says where they begin."""
    raw = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    head = tensor(shape=shape or [len(texts)], parameters={"binary_data_size": len(raw) if size is None else size})
    del head["data"]
    start = body(head)
    return start + raw, str(len(start))


def refused(raw: bytes, header: str | None = None) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse(raw, LIMITS, header)
    return caught.value


def test_a_tensor_in_json_is_read() -> None:
    raw = body(tensor("a", "b"), id="7", parameters={"truncate": "left"})
    request = parse(raw, LIMITS)
    assert request.request.texts == ["a", "b"]
    assert request.request.parameters == Parameters("left")
    assert (request.id, request.outputs) == ("7", ("label", "score", "scores"))


def test_a_column_of_texts_may_be_nested_or_flat() -> None:
    for data in (["a", "b"], [["a"], ["b"]]):
        assert parse(body(tensor(shape=[2, 1], data=data)), LIMITS).request.texts == ["a", "b"]


def test_several_inputs_are_read_one_after_the_other() -> None:
    raw = body(tensor("a", "b"), tensor("c", name="text_2"))
    assert parse(raw, LIMITS).request.texts == ["a", "b", "c"]


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), min_size=1, max_size=5))
def test_binary_texts_are_what_was_sent(texts: list[str]) -> None:
    raw, header = binary(*(text.encode() for text in texts))
    assert parse(raw, LIMITS, header).request.texts == texts


@settings(max_examples=300, deadline=None)
@given(
    document=_values, tail=st.binary(max_size=20), header=st.none() | st.integers(-2, 60).map(str) | st.text(max_size=4)
)
def test_anything_else_is_a_request_error_that_can_be_sent(document: Any, tail: bytes, header: str | None) -> None:
    for raw in (
        json.dumps(document).encode() + tail,
        body(document) + tail,
        body(tensor("a") | {"shape": document}) + tail,
    ):
        try:
            parse(raw, LIMITS, header)
        except RequestError as error:
            json.dumps(to_problem(error, "urn:uuid:1"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"{}", "inputs"),
        (body(), "inputs"),
        (body(5), "inputs[0]"),
        (body(tensor("a", name="image")), "inputs[0].name"),
        (body(tensor("a", datatype="FP32")), "inputs[0].datatype"),
        (body(tensor("a", shape=[1, 2])), "inputs[0].shape"),
        (body(tensor("a", shape=[2])), "inputs[0].shape"),
        (body(tensor("a", shape=[-1])), "inputs[0].shape"),
        (body(tensor("a", shape=[True])), "inputs[0].shape"),
        (body(tensor(data="a", shape=[1])), "inputs[0].data"),
        (body(tensor("a", parameters={"classification": 1})), "inputs[0].parameters.classification"),
        (body(tensor("a"), outputs=[{"name": "logits"}]), "outputs[0].name"),
        (body(tensor("a"), outputs={}), "outputs"),
        (body(tensor("a"), id=7), "id"),
        (body(tensor("a"), parameters={"top_k": 1}), "parameters.top_k"),
        (body(tensor("a"), parameters={"binary_data_output": 1}), "parameters.binary_data_output"),
        (body(tensor("a", 5)), "text[1]"),
        (body(tensor("a", "")), "text[1]"),
        (body(tensor("a"), input=1), "input"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_value_is_named_by_its_field(raw: bytes, field: str) -> None:
    error = refused(raw)
    assert isinstance(error, InvalidRequest)
    assert error.field == field


def test_binary_data_that_do_not_add_up_are_malformed() -> None:
    whole, header = binary(b"a text", b"another")
    for raw, head in (
        (whole[:-1], header),  # ends inside a text
        (whole + b"x", header),  # goes on after the last
        (whole, "x"),
        (whole, "-1"),
        (whole, str(len(whole) + 1)),
        (whole, "9" * 5_000),
        binary(b"a", size=2),  # ends inside a length
        binary(b"a\xff"),
    ):
        assert isinstance(refused(raw, head), MalformedRequest)
    assert isinstance(refused(*binary(b"a", shape=[2])), InvalidRequest)


def test_too_much_is_said_before_it_is_read() -> None:
    assert isinstance(refused(b"x" * 100_001), RequestTooLarge)
    assert isinstance(refused(body(tensor(*["a"] * 101))), RequestTooLarge)


def rendered(predictor: Predictor, *outputs: str, **parameters: Any) -> dict[str, Any]:
    request = parse(body(tensor("a superb film", "an awful film"), outputs=[{"name": n} for n in outputs]), LIMITS)
    predictions = predictor.predict(request.request.texts)
    answers = answer(predictions, predictor.manifest, Parameters(**parameters))
    return render(answers, InferRequest(request.request, request.outputs, "7"), predictor.manifest, "cpu-int8")


def test_the_answer_has_the_outputs_that_were_asked_for(predictor: Predictor) -> None:
    document = rendered(predictor, "scores", "label", "tokens")
    assert [(o["name"], o["datatype"], o["shape"]) for o in document["outputs"]] == [
        ("scores", "FP32", [2, 2]),
        ("label", "BYTES", [2]),
        ("tokens", "INT32", [2]),
    ]
    scores, labels, _ = (output["data"] for output in document["outputs"])
    assert labels == [predictor.manifest.labels[int(scores[2 * i] < scores[2 * i + 1])] for i in range(2)]
    assert (document["model_name"], document["id"]) == ("demo", "7")


def test_an_abstention_is_an_empty_label_and_a_flag(predictor: Predictor) -> None:
    document = rendered(predictor, "label", "abstained", abstain_below=1.0)
    assert [output["data"] for output in document["outputs"]] == [["", ""], [True, True]]


def test_the_metadata_describe_what_is_answered(predictor: Predictor) -> None:
    metadata = model_metadata(predictor.manifest, [predictor.manifest.version])
    described = {output["name"]: (output["datatype"], len(output["shape"])) for output in metadata["outputs"]}
    answered = rendered(predictor, *described)
    assert {o["name"]: (o["datatype"], len(o["shape"])) for o in answered["outputs"]} == described
