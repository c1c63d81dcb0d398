"""One tree, which the module's docstring draws; and what becomes of an answer that is none."""

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.client import BadAnswer, ClientError, RequestRefused, TooManyRequests, Unauthorized, Unavailable, errors
from slipway.client.errors import to_error
from slipway.errors import SlipwayError


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+) .*? {2,}([\dx, ]+)?$", errors.__doc__ or "", re.MULTILINE))
    classes = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    below = {name for name, kind in classes.items() if issubclass(kind, ClientError)} - {"ClientError"}
    assert set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) == below
    assert drawn["Unauthorized"] == "401, 403"
    assert issubclass(ClientError, SlipwayError)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRefused),
        (401, Unauthorized),
        (403, Unauthorized),
        (404, RequestRefused),
        (413, RequestRefused),
        (429, TooManyRequests),
        (499, RequestRefused),
        (500, Unavailable),
        (503, Unavailable),
        (599, Unavailable),
        (301, BadAnswer),
        (204, BadAnswer),
        (999, BadAnswer),
    ],
)
def test_a_status_is_an_error(status: int, kind: type[ClientError]) -> None:
    error = to_error(status, b"", 0.0)
    assert type(error) is kind
    assert error.status == status
    assert str(status) in error.detail


def test_what_a_gateway_without_problem_documents_says_is_taken() -> None:
    error = to_error(403, b'{"message": "Forbidden"}', 0.0)
    assert error.detail == "Forbidden"
    assert error.remedy.startswith("Give the client the api_key of a usage plan of this API")


@given(st.integers(100, 999), st.binary() | st.sampled_from([b'{"detail": 1, "field": []}', b"[1]", b"[" * 100_000]))
def test_any_body_is_an_error_with_words(status: int, body: bytes) -> None:
    error = to_error(status, body, 0.0)
    assert error.detail
    assert isinstance(error.field, str)


def test_an_error_survives_a_process_pool() -> None:
    error = to_error(422, b'{"detail": "No.", "field": "instances[3]", "remedy": "Mend it."}', 2.0)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), vars(again), str(again)) == (type(error), vars(error), str(error))
    assert again.row == 3
