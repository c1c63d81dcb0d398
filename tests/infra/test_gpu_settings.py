"""The arguments of a GPU endpoint, and the names that follow from a deployment."""

import dataclasses
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.gpu_names import async_endpoint_name, component_name, endpoint_name, gpu_prefix
from infra.settings import GPU, Deployment, DeploymentError
from tests.infra.conftest import ROOT

_stages = st.from_regex(r"[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?", fullmatch=True).filter(str.isascii)
_models = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True).filter(str.isascii)
# SageMaker's own pattern of names.
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def test_nobody_pays_for_a_gpu_unasked() -> None:
    assert Deployment().gpu == "off"
    assert not Deployment().has_gpu


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gpu", "on"),
        ("gpu", "true"),
        ("gpu", ""),
        ("gpu_instance", "g6.xlarge"),
        ("gpu_instance", "ml.p3.2xlarge"),
        ("gpu_instance", "ml.m5.xlarge"),
        ("gpu_instance", "ml.g5.12xlarge"),
        ("gpu_instance", "ml.g4dn.large"),
        ("gpu_max_instances", "0"),
        ("gpu_min_instances", "-1"),
        ("gpu_min_instances", "3"),
        ("gpu_async", "maybe"),
    ],
)
def test_an_unusable_value_is_named_with_its_remedy(name: str, value: str) -> None:
    with pytest.raises(DeploymentError, match=rf"^{name}='?{re.escape(value)}'? cannot be deployed: use "):
        Deployment.from_context({name: value})


@pytest.mark.parametrize("instance", ["ml.g4dn.xlarge", "ml.g5.2xlarge", "ml.g6.xlarge", "ml.g6e.16xlarge"])
def test_instances_with_one_gpu_and_a_driver_for_it_are_taken(instance: str) -> None:
    assert Deployment.from_context({"gpu_instance": instance}).gpu_instance == instance


@pytest.mark.parametrize("gpu", GPU)
def test_the_local_cloud_has_none_whatever_is_asked(gpu: str) -> None:
    assert not Deployment(gpu=gpu, local=True).has_gpu
    assert Deployment(gpu=gpu).has_gpu == (gpu != "off")


@pytest.mark.parametrize(
    ("gpu", "asked", "kept"),
    [("scale-to-zero", 0, 0), ("scale-to-zero", 1, 1), ("always-on", 0, 1), ("always-on", 1, 1), ("always-on", 2, 2)],
)
def test_always_on_keeps_one_at_least(gpu: str, asked: int, kept: int) -> None:
    assert Deployment(gpu=gpu, gpu_min_instances=asked).gpu_minimum == kept


@given(_stages, _models)
def test_names_are_what_sagemaker_takes_with_room_for_a_version(stage: str, model: str) -> None:
    deployment = Deployment(stage=stage, model=model)
    for name in (endpoint_name(deployment), component_name(deployment), async_endpoint_name(deployment)):
        assert _NAME.fullmatch(name)
    longest = f"{gpu_prefix(deployment)}-20261126t101112z-0123456789ab-r012345"
    assert _NAME.fullmatch(longest)
    assert longest == longest.lower()


@given(_stages, _models, _models)
def test_two_models_of_a_stage_have_two_names(stage: str, one: str, other: str) -> None:
    prefixes = {gpu_prefix(Deployment(stage=stage, model=model)) for model in (one, other)}
    assert len(prefixes) == len({one, other})


def test_every_argument_and_price_in_the_document_is_the_real_one() -> None:
    document = (ROOT / "docs/gpu.md").read_text()
    fields = {field.name for field in dataclasses.fields(Deployment) if field.name.startswith("gpu")}
    assert fields == set(re.findall(r"^\| `(gpu\w*)` \| .* \| ", document, re.MULTILINE)) | {"gpu_async"}
    table = json.loads((ROOT / "layers/runtime/python/slipway/prices.json").read_text())
    prices = {name: row["value"] for name, row in table["regions"]["us-east-1"]["instances"].items()}
    told = re.findall(r"^\| (ml\.\S+) \| \w+ \| ([0-9.]+) \|$", document, re.MULTILINE)
    assert len(told) == 3
    assert all(prices[name] == float(price) for name, price in told)
    month = round(730 * prices[Deployment().gpu_instance])
    assert f"{month} USD in a month of 730 hours" in document
