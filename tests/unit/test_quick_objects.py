"""Reading S3 through obstore gives what boto3 gives, and the same errors."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from slipway.errors import NoSuchObject, StoreError
from slipway.objects import Objects
from slipway.quick_objects import QuickObjects
from slipway.settings import in_lambda_with_credentials
from slipway.store import Store

BUCKET = "models-of-a-quick-test"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """S3 over real HTTP: obstore is not Python, and no in-process stand-in reaches it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    location = {"LocationConstraint": "eu-central-1"}
    with suppress(ClientError):  # moto's servers of one process share what they hold
        boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
    yield f"http://{host}:{port}"
    server.stop()


def test_what_is_read_is_what_boto3_reads(endpoint: str, tmp_path: Path) -> None:
    whole, quick = Objects(BUCKET, "models/demo/"), QuickObjects(BUCKET, "models/demo/")
    content = bytes(range(256)) * 40_000
    assert whole.create("v/größe +%.onnx", content)
    assert quick.read("v/größe +%.onnx") == whole.read("v/größe +%.onnx")
    quick.download("v/größe +%.onnx", tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == content
    assert list(quick.names("v/")) == ["v/größe +%.onnx"], "what obstore is not asked for goes through boto3"


def test_what_is_written_is_there_whole_and_over_what_was_there(endpoint: str) -> None:
    whole, quick = Objects(BUCKET, "bakes/demo/"), QuickObjects(BUCKET, "bakes/demo/")
    for content in (b"a longer first one", b"second"):
        assert quick.write("process.json", [content[:3], content[3:]]) == len(content)
        found = whole.read("process.json")
        assert found
        assert found[0] == content
    assert "_whole" not in vars(quick), "boto3 takes a third of a second to import"
    with pytest.raises(StoreError):
        QuickObjects("no-such-bucket-anywhere", "").write("process.json", [b"x"])


def test_what_is_not_there_is_none_to_read_and_an_error_to_download(endpoint: str, tmp_path: Path) -> None:
    quick = QuickObjects(BUCKET, "")
    assert quick.read("none") is None
    with pytest.raises(NoSuchObject, match="s3://models-of-a-quick-test/none"):
        quick.download("none", tmp_path / "none")


def test_what_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="cannot be read") as caught:
        QuickObjects(BUCKET, "").read("live.json")
    assert "\n" not in str(caught.value)


def test_a_disk_that_refuses_is_an_error_of_the_disk(endpoint: str, tmp_path: Path) -> None:
    Objects(BUCKET, "").create("a", b"x")
    with pytest.raises(FileNotFoundError):
        QuickObjects(BUCKET, "").download("a", tmp_path / "no" / "such" / "folder")


@pytest.mark.parametrize(
    ("variables", "quick"),
    [
        ({"AWS_LAMBDA_FUNCTION_NAME": "predict", "AWS_ACCESS_KEY_ID": "a"}, True),
        ({"AWS_LAMBDA_FUNCTION_NAME": "predict", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://x"}, False),
        ({"AWS_ACCESS_KEY_ID": "a"}, False),
    ],
)
def test_only_a_function_with_credentials_of_its_own_reads_so(variables: dict[str, str], quick: bool) -> None:
    assert in_lambda_with_credentials(variables) is quick


def test_a_function_opens_its_store_without_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "predict")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert isinstance(Store(BUCKET, "demo", serving=True)._objects, QuickObjects)
    assert isinstance(Store(BUCKET, "demo")._objects, Objects)
