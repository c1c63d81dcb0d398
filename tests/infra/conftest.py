"""The CDK app, synthesized once for each stage that a test asks for."""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from infra.app import build_app

ROOT = Path(__file__).resolve().parent.parent.parent
Json = dict[str, Any]


def cdk_context(**arguments: object) -> Json:
    """What the CDK hands the app: the context of cdk.json, and what ``-c`` adds."""
    context: Json = json.loads((ROOT / "cdk.json").read_text())["context"]
    return {**context, **arguments}


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """What a synthesis left behind."""

    app: cdk.App
    directory: Path
    stacks: str = "*"

    def part(self, stacks: str) -> "Assembly":
        """The same, with the resources of those stacks whose names match."""
        return replace(self, stacks=stacks)

    def template(self, stack: str) -> Json:
        """The template of one stack."""
        loaded: Json = json.loads((self.directory / f"{stack}.template.json").read_text())
        return loaded

    def resources(self, kind: str) -> list[Json]:
        """The resources of one type, such as AWS::S3::Bucket, in all its stacks."""
        paths = sorted(self.directory.glob(f"{self.stacks}.template.json"))
        templates = [json.loads(path.read_text()) for path in paths]
        found = [resource for template in templates for resource in template["Resources"].values()]
        return [resource for resource in found if resource["Type"] == kind]

    def properties(self, kind: str) -> Json:
        """The properties of the only resource of its type."""
        (resource,) = self.resources(kind)
        properties: Json = resource["Properties"]
        return properties


Synthesize = Callable[..., Assembly]


@pytest.fixture(scope="session")
def synthesize(tmp_path_factory: pytest.TempPathFactory) -> Synthesize:
    """Synthesize with arguments, or give what the same arguments gave before. A cdk-nag finding fails it."""

    @functools.cache
    def synthesized(**arguments: object) -> Assembly:
        directory = tmp_path_factory.mktemp("cdk.out")
        app = build_app(context=cdk_context(**arguments), outdir=str(directory))
        app.synth()
        return Assembly(app=app, directory=directory)

    return synthesized


@pytest.fixture(scope="session")
def aws(synthesize: Synthesize) -> Assembly:
    """The stage that a team runs in production."""
    return synthesize(stage="prod", model="tickets")


@pytest.fixture(scope="session")
def local(synthesize: Synthesize) -> Assembly:
    """The stage of the local cloud."""
    return synthesize(stage="local")
