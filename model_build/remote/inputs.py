"""What a build reads, put where a training job finds it: each local input becomes a channel of the job."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import S3UploadFailedError

from model_build.config import BuildConfig
from model_build.locations import local_input, local_path
from model_build.remote.training_job import aws_errors
from model_build.tuning.toml_writer import to_toml
from slipway.errors import BuildError

CONFIG_CHANNEL, CONFIG_FILE = "config", "build.toml"
_PLACES = (("data", "path", "labelled"), ("data", "unlabelled", "unlabelled"), ("network", "base", "base"),
           ("student", "base", "student"))  # fmt: skip
_FIXED = "s3://"  # the job reads it from there, as the build here would


def plan_inputs(config: BuildConfig) -> tuple[BuildConfig, dict[str, Path]]:
    """The configuration as the job is to read it, and the local file or directory of each channel.

    Paths in it are relative to the directory of the channels, such as ``labelled/rows.csv``; a name on the hub and an
    S3 location stay as they are. Raises BuildError if a local input is not there.
    """
    content = config.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    channels: dict[str, Path] = {}
    known: dict[str, str] = {}
    for section, key, channel in _PLACES:
        location = content.get(section, {}).get(key, "")
        path = _to_upload(location, f"{section}.{key}")
        if path is not None:
            if location not in known:
                known[location], channels[channel] = f"{channel}/{path.name}", path
            content[section][key] = known[location]
    return BuildConfig.model_validate(content), channels


def upload_inputs(config: BuildConfig, channels: Mapping[str, Path], bucket: str, prefix: str) -> int:
    """Put ``config`` and the channels below ``s3://bucket/prefix``. Returns the number of bytes. Raises BuildError."""
    text = to_toml(config.model_dump(mode="json", exclude_unset=True, exclude_none=True)).encode()
    with aws_errors(f"Upload to s3://{bucket}/{prefix}"):
        s3 = boto3.client("s3")
        s3.put_object(Bucket=bucket, Key=f"{prefix}{CONFIG_CHANNEL}/{CONFIG_FILE}", Body=text)
    size = 0
    for channel, path in channels.items():
        for file in _files(path):
            name = file.relative_to(path.parent).as_posix()
            _upload(s3, file, bucket, f"{prefix}{channel}/{name}")
            size += file.stat().st_size
    return size


def _upload(s3: Any, file: Path, bucket: str, key: str) -> None:
    try:
        with aws_errors(f"Upload of {file}"):
            s3.upload_file(str(file), bucket, key)
    except S3UploadFailedError as error:
        raise BuildError(f"{error}", remedy="Check --bucket, and that you may write to it.") from error


def _to_upload(location: str, key: str) -> Path | None:
    if not location or location.startswith(_FIXED):
        return None
    if key.endswith(".base"):
        path = local_path(location)
        return path.resolve() if path.is_dir() else None
    with local_input(location, key=key) as found:
        return found.resolve()


def _files(path: Path) -> Iterator[Path]:
    yield from [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
