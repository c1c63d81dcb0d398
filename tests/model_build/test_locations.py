"""Where inputs come from: local files, files of installed packages, S3."""

from pathlib import Path

import boto3
import pytest

from model_build.locations import local_file, local_path
from slipway.errors import BuildError, StoreError


def test_a_local_path_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x")
    with local_file(str(path)) as found:
        assert found == path


def test_a_tilde_is_the_home_directory() -> None:
    assert local_path("~/rows.csv") == Path.home() / "rows.csv"


def test_a_package_path_is_inside_the_installed_package() -> None:
    import rich

    assert local_path("package:rich/console.py") == Path(rich.__file__).parent / "console.py"


def test_a_package_that_is_not_installed_is_named_with_the_remedy() -> None:
    with pytest.raises(BuildError, match=r"no_such_package.*pip install"):
        local_path("package:no_such_package/data.csv")


def test_a_module_that_is_a_plain_file_holds_nothing() -> None:
    with pytest.raises(BuildError, match="typing_extensions"):
        local_path("package:typing_extensions/data.csv")


@pytest.mark.parametrize("location", ["package:no_such_package.inner/x.csv", "~no_such_user/rows.csv"])
def test_a_location_that_cannot_be_resolved_is_refused_in_words(location: str) -> None:
    with pytest.raises(BuildError, match="no_such"):
        local_path(location)


@pytest.mark.parametrize("where", ["none.csv", "."])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, where: str) -> None:
    with pytest.raises(BuildError, match=f"{tmp_path}.*data.path"), local_file(str(tmp_path / where)):
        pass


def test_an_object_is_downloaded_under_its_own_name_and_removed(bucket: str) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key="in/some rows.csv", Body=b"text,label\n")
    with local_file(f"s3://{bucket}/in/some rows.csv") as path:
        assert (path.name, path.read_bytes()) == ("some rows.csv", b"text,label\n")
    assert not path.exists()


@pytest.mark.parametrize("location", ["s3://models-bucket/none.csv", "s3://no-such-bucket/rows.csv"])
def test_what_s3_does_not_have_is_named(bucket: str, location: str) -> None:
    with pytest.raises(StoreError, match=location), local_file(location):
        pass


@pytest.mark.parametrize("location", ["s3://", "s3:///rows.csv", "s3://models-bucket", "s3://models-bucket/"])
def test_an_s3_location_without_bucket_or_key_is_refused(bucket: str, location: str) -> None:
    with pytest.raises(BuildError, match="s3://bucket/key"), local_file(location):
        pass
