"""The functions of the GPU endpoint's release over moto's S3 and a SageMaker in memory."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import boto3
import pytest

from slipway.artifact import GPU_GATE, FileEntry, Golden, Manifest
from slipway.hosting import calls
from slipway.settings.release import RollSettings
from slipway.store import Store
from tests.conftest import BUCKET
from tests.release.fake_sagemaker import FakeSageMaker

PREFIX = "slipway-prod-demo"
ROLE = "arn:aws:iam::123456789012:role/instances"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/image:1"
ROLLING = {
    "RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50}, "WaitIntervalInSeconds": 1},
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
}
AT_ONCE = {
    "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 1}}
}
SETTINGS = RollSettings(
    model="demo",
    model_bucket=BUCKET,
    gpu_prefix=PREFIX,
    gpu_component="component",
    gpu_model=f"{PREFIX}-20261101t000000z-000000000000-dabcdef",
    gpu_rolling=json.dumps(ROLLING),
)
ASYNC = replace(
    SETTINGS,
    gpu_async_endpoint="async",
    gpu_async_model=f"{PREFIX}-20261101t000000z-000000000000-d123456",
    gpu_async_config=f"{PREFIX}-20261101t000000z-000000000000-d654321",
    gpu_async_rolling=json.dumps(AT_ONCE),
)


def publish(store: Store, *, hour: int, fp16: bool = True, agrees: bool = True) -> str:
    """The manifest of a version, which is all of it that a release reads."""
    files = {f"model.{variant}.onnx": FileEntry(sha256="0" * 64, size=1) for variant in ("int8", "fp16")[: 1 + fp16]}
    manifest = Manifest(
        model="demo",
        task="single-label",
        labels=["a", "b"],
        max_tokens=32,
        pad_id=0,
        temperature=1.0,
        created=f"2026-11-26T{hour:02}:00:00Z",
        code_revision="",
        data_fingerprint="",
        build_fingerprint="",
        training={},
        metrics={},
        gates=[{"name": GPU_GATE, "value": 0.9 + agrees / 10, "bound": 0.995, "passed": agrees}],
        speed={},
        baseline={},
        files=files,
        golden=[Golden(text="a", token_ids=[1], probabilities={"int8": [0.5, 0.5]})],
        tolerances={},
        serve="int8",
    )
    key = f"models/demo/{manifest.version}/manifest.json"
    boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=manifest.to_json())
    return manifest.version


@pytest.fixture
def live(store: Store) -> Callable[..., str]:
    """Publish a version and make it live; the version."""

    def promoted(*, hour: int, **what: bool) -> str:
        version = publish(store, hour=hour, **what)
        store.promote(version, by="test", why="test")
        return version

    return promoted


@pytest.fixture
def sagemaker(bucket: str) -> Iterator[FakeSageMaker]:
    """As a deployment leaves it: the component and the asynchronous endpoint serve a version of long ago."""
    calls.sagemaker.cache_clear()
    fake = FakeSageMaker(calls.sagemaker())
    for settings in (SETTINGS, ASYNC):
        for name in filter(None, (settings.gpu_model, settings.gpu_async_model)):
            container = {"Image": IMAGE, "Environment": {"FOR": name}, "ModelDataSource": {"of": "then"}}
            fake.models[name] = {"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": ROLE, "at": -1}
    needs = {"NumberOfAcceleratorDevicesRequired": 1, "MinMemoryRequiredInMb": 1024}
    specification = {"ComputeResourceRequirements": needs, "Container": {"DeployedImage": {}}}
    fake.components["component"] = {
        "status": "InService",
        "model": SETTINGS.gpu_model,
        "specification": specification,
    }
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": ASYNC.gpu_async_model,
        "InstanceType": "ml.g6.xlarge",
        "InitialInstanceCount": 1,
        "InferenceAmiVersion": "al2023-ami-sagemaker-inference-gpu-4-1",
    }
    name = ASYNC.gpu_async_config
    output = {"OutputConfig": {"S3OutputPath": "s3://files/out/"}}
    config = {"EndpointConfigName": name, "ProductionVariants": [variant], "AsyncInferenceConfig": output, "at": -1}
    fake.configs[name] = {**config, "CreationTime": 0, "EndpointConfigArn": "arn"}
    fake.endpoints["async"] = {"status": "InService", "EndpointConfigName": name}
    yield fake
    calls.sagemaker.cache_clear()


@pytest.fixture
def function(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """A module of functions/release, imported as a new execution environment does."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith("functions.release")]:
            del sys.modules[name]

    def load(verb: str, settings: RollSettings = SETTINGS) -> ModuleType:
        forget()
        for name, value in settings.to_env().items():
            monkeypatch.setenv(name, value)
        return importlib.import_module(f"functions.release.{verb}")

    yield load
    forget()


@pytest.fixture
def roll(sagemaker: FakeSageMaker, function: Any) -> Callable[..., bool]:
    """Deliver one message; whether it is done."""

    def delivered(settings: RollSettings = SETTINGS) -> bool:
        answer = function("roll", settings).handler({"Records": [{"messageId": "m-1"}]}, None)
        assert answer in ({"batchItemFailures": []}, {"batchItemFailures": [{"itemIdentifier": "m-1"}]})
        return answer == {"batchItemFailures": []}

    return delivered
