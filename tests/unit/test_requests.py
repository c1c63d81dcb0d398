"""What all dialects share: which content types are read."""

import pytest

from slipway.errors import UnsupportedMedia
from slipway.requests import check_content_type


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
