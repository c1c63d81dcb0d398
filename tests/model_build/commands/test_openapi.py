"""The API's description is written from its types, and the file that the function serves is what they give now."""

import json
from pathlib import Path
from typing import Any

import pytest

from functions.predict.routes import ROUTES
from model_build.commands.openapi import describe
from slipway.dialects import tei, v1, v2
from slipway.requests import Limits

SERVED = Path(__file__).parents[3] / "functions/predict/pages/openapi.json"
LIMITS = Limits(10_000, 100)


def test_the_served_file_is_up_to_date() -> None:
    assert json.loads(SERVED.read_text()) == describe(), "run `slipway openapi`"


def test_every_route_is_described_and_every_description_has_its_route() -> None:
    described = {
        (method.upper(), path.replace("{", "<").replace("}", ">").replace("<label>", "<version>"))
        for path, methods in describe()["paths"].items()
        for method in methods
    }
    assert described == {(method, path) for method, path, _ in ROUTES}


@pytest.mark.parametrize(
    ("path", "parse"),
    [("/v1/models/{model}:predict", v1.parse), ("/predict", tei.parse), ("/v2/models/{model}/infer", v2.parse)],
)
def test_the_examples_are_read(path: str, parse: Any) -> None:
    content = describe()["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        parse(json.dumps(example["value"]).encode(), LIMITS)
