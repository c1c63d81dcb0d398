"""Answers that are not as they should be are named by their place, and never quoted."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.answers import Answer
from slipway.client import BadAnswer
from slipway.client.results import read_explanation, read_predictions, read_versions
from slipway.dialects import v1

GOOD: dict[str, Any] = {"label": "a", "score": 1, "scores": {"a": 1.0}, "tokens": 3, "truncated": False}
MEMBERS = {"model_version": "v", "backend": "cpu"}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, *MEMBERS, "words"]), inner),
    max_leaves=10,
)


def _predictions(**changes: Any) -> bytes:
    return json.dumps({"predictions": [{**GOOD, **changes}], **MEMBERS}).encode()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": None}, "predictions[0].label is NoneType, not str"),
        ({"score": "Zx9"}, "predictions[0].score is str, not float"),
        ({"score": True}, "predictions[0].score is bool, not float"),
        ({"scores": ["Zx9"]}, "predictions[0].scores is list, not dict"),
        ({"scores": {"a": None}}, "predictions[0].scores.a is NoneType, not float"),
        ({"tokens": 1.5}, "predictions[0].tokens is float, not int"),
        ({"truncated": 0}, "predictions[0].truncated is int, not bool"),
        ({"labels": [1]}, "predictions[0].labels[0] is int, not str"),
    ],
)
def test_a_member_of_the_wrong_type_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        read_predictions(_predictions(**changes), 1)
    assert said in str(caught.value)
    assert "Zx9" not in str(caught.value)
    assert caught.value.status == 200


def test_a_member_that_a_later_service_adds_is_no_matter() -> None:
    (found,) = read_predictions(_predictions(later={"x": 1}), 1)
    assert (found.label, found.score) == ("a", 1.0)
    assert type(found.score) is float


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_prediction_for_each_text(count: int) -> None:
    with pytest.raises(BadAnswer, match="predictions has 1 entries"):
        read_predictions(_predictions(), count)


@given(JSON)
def test_any_json_is_read_or_a_bad_answer(document: Any) -> None:
    for wrapped in (document, {"predictions": [document]}, {"explanations": [document], **MEMBERS}):
        body = json.dumps(wrapped).encode()
        for read in (lambda body: read_predictions(body, 1), read_explanation, read_versions):
            with pytest.raises(BadAnswer):
                read(body)


@given(
    st.builds(
        Answer,
        label=st.none() | st.text(),
        score=st.floats(0, 1),
        scores=st.lists(st.tuples(st.text(), st.floats(0, 1)), max_size=4),
        applying=st.none() | st.lists(st.text(), max_size=3),
        tokens=st.integers(0, 10_000),
        truncated=st.booleans(),
    )
)
def test_what_the_service_renders_is_what_is_read(answer: Answer) -> None:
    body = json.dumps({"predictions": v1.render([answer]), **MEMBERS}).encode()
    (found,) = read_predictions(body, 1)
    assert (found.label, found.score, found.tokens) == (answer.label, answer.score, answer.tokens)
    assert (found.scores, found.truncated) == (dict(answer.scores), answer.truncated)
    assert found.labels == (None if answer.applying is None else tuple(answer.applying))
    assert found.abstained == (answer.label is None)
