"""What all dialects share: which content types are read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import InvalidRequest, MalformedRequest, UnsupportedMedia
from slipway.requests import check_content_type, only, read_json

_SPACES = st.text(" \t\r\n", max_size=3)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/vnd.api+json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-8; profile=x",
        "application/json; profile=x",
    ],
)
def test_what_may_be_json_in_utf8_is_read(header: str | None) -> None:
    check_content_type(header)


@pytest.mark.parametrize(
    "header",
    [
        "text/csv",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "json",
        ";",
    ],
)
def test_another_content_type_is_refused_with_the_one_to_send(header: str) -> None:
    with pytest.raises(UnsupportedMedia) as caught:
        check_content_type(header)
    assert repr(header) in caught.value.detail
    assert "application/json" in caught.value.remedy


@given(document=st.dictionaries(st.text(), st.integers() | st.text() | st.none()), before=_SPACES, after=_SPACES)
def test_spaces_around_a_body_and_a_byte_order_mark_change_nothing(
    document: dict[str, Any], before: str, after: str
) -> None:
    body = (before + json.dumps(document) + after).encode()
    assert read_json(body) == read_json(b"\xef\xbb\xbf" + body) == document


@given(st.text(alphabet='{}[]":, \ta1', max_size=12))
def test_what_json_refuses_is_refused_where_json_says(text: str) -> None:
    try:
        json.loads(text)
    except json.JSONDecodeError as refused:
        with pytest.raises(MalformedRequest, match=f"line {refused.lineno}, column {refused.colno}"):
            read_json(text.encode())


@pytest.mark.parametrize("name", ["instance", ""])
def test_an_unknown_member_is_refused_whatever_it_is_called(name: str) -> None:
    with pytest.raises(InvalidRequest, match="known"):
        only({"instances": [], name: 1}, ("instances",))
