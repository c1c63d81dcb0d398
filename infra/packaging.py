"""The one seam between AWS and the local cloud: what a function is packed as. Nothing else here knows the difference.

On AWS a function is the container image of its Dockerfile. In the local stage it is a custom runtime: its ``bootstrap``
starts the same runtime client, awslambdaric, with the same handler in this machine's own interpreter: nothing is built,
nothing of the local cloud is patched, and an edited source file is live after the next deploy.
"""

import hashlib
import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Annotations, IgnoreMode, Stage
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.settings import Deployment

ROOT = Path(__file__).resolve().parent.parent
IMPORT_ROOTS = (ROOT, ROOT / "layers/runtime/python")
# The only paths, besides a function's own directory, that its image copies: model_build and its torch stay out.
_SHARED = ("functions/__init__.py", "functions/sbom.py", "layers")
_NOISE = ("**/__pycache__", "**/*.pyc", "**/.DS_Store")


@dataclass(frozen=True, kw_only=True)
class FunctionCode:
    """A function by path: the directory of its Dockerfile, such as functions/predict, and its entry."""

    source: str
    handler: str

    @property
    def sources(self) -> tuple[str, ...]:
        """Everything that the function consists of, from the repository's root."""
        return (self.source, *_SHARED)


def packed_function(
    scope: Construct,
    construct_id: str,
    *,
    code: FunctionCode,
    deployment: Deployment,
    options: Mapping[str, object],
    snap_start: bool = False,
) -> lambda_.Function:
    """The function of ``code``; ``options`` are those of ``aws_lambda.Function`` that every packaging takes.

    ``snap_start`` is for functions whose callers use the alias of a published version.
    """
    if deployment.local:
        return lambda_.Function(
            scope,
            construct_id,
            runtime=lambda_.Runtime.PROVIDED_AL2023,
            handler=code.handler,
            code=lambda_.Code.from_asset(str(_write_bootstrap(scope, code))),
            **options,  # type: ignore[arg-type]
        )
    function = lambda_.DockerImageFunction(
        scope,
        construct_id,
        code=image_code(code),
        architecture=lambda_.Architecture.X86_64,
        snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if snap_start else None,
        **options,  # type: ignore[arg-type]
    )
    reminder = "@aws-cdk/aws-lambda:snapStartRequirePublish"
    Annotations.of(function).acknowledge_warning(reminder, "Callers use the alias of a published version.")
    return function


def zipped_function(
    scope: Construct, construct_id: str, *, code: FunctionCode, deployment: Deployment, options: Mapping[str, object]
) -> lambda_.Function:
    """As ``packed_function``, for what needs neither the model nor a package beyond Lambda's own: starts in no time.

    It wants the layer of ``runtime_layer``.
    """
    if deployment.local:
        return packed_function(scope, construct_id, code=code, deployment=deployment, options=options)
    return lambda_.Function(
        scope,
        construct_id,
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler=code.handler,
        code=lambda_.Code.from_asset(
            str(ROOT),
            ignore_mode=IgnoreMode.DOCKER,
            exclude=["*", "!functions/__init__.py", f"!{code.source}", *_NOISE],
        ),
        **options,  # type: ignore[arg-type]
    )


def runtime_layer(scope: Construct, construct_id: str) -> lambda_.LayerVersion:
    """What all functions share, as a layer for those that are zips."""
    return lambda_.LayerVersion(
        scope,
        construct_id,
        code=lambda_.Code.from_asset(str(ROOT / "layers/runtime"), exclude=[*_NOISE]),
        compatible_runtimes=[lambda_.Runtime.PYTHON_3_13],
        description="The package slipway",
    )


def image_code(code: FunctionCode) -> lambda_.DockerImageCode:
    """The image of the function's Dockerfile. Synthesis only stages its files, for which no docker is needed."""
    return lambda_.DockerImageCode.from_image_asset(
        str(ROOT),
        file=f"{code.source}/Dockerfile",
        cmd=[code.handler],
        platform=ecr_assets.Platform.LINUX_AMD64,
        ignore_mode=IgnoreMode.DOCKER,
        exclude=["*", *(f"!{path}" for path in code.sources), *_NOISE],
    )


def bootstrap_script(code: FunctionCode) -> str:
    """The shell script that becomes the runtime client; the fingerprint makes edited sources a new function version."""
    path = os.pathsep.join(map(str, IMPORT_ROOTS))
    return (
        "#!/bin/sh\n"
        f"# sources {fingerprint(code.sources)}\n"
        f"export PYTHONPATH={shlex.quote(path)}\n"
        f"exec {shlex.quote(sys.executable)} -m awslambdaric {shlex.quote(code.handler)}\n"
    )


def fingerprint(sources: Iterable[str], *, root: Path = ROOT) -> str:
    """A digest of the Python files under ``sources``: their paths and contents."""
    digest = hashlib.sha256()
    for source in sources:
        path = root / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _write_bootstrap(scope: Construct, code: FunctionCode) -> Path:
    """A directory in the cloud assembly that holds nothing but the executable ``bootstrap``."""
    stage = Stage.of(scope)
    assert stage is not None  # noqa: S101  every construct of an app is in a stage
    directory = Path(stage.asset_outdir) / f"bootstrap.{code.handler}"
    directory.mkdir(parents=True, exist_ok=True)
    bootstrap = directory / "bootstrap"
    bootstrap.write_text(bootstrap_script(code))
    bootstrap.chmod(0o755)
    return directory
