"""One issuer with its keys for each module of tests: making RSA keys takes a while."""

from collections.abc import Iterator

import pytest

from tests.authorize.issuer import Issuer


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer
