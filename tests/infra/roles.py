"""Every action and resource of every role, as a table to read and to review: ``roles.list`` beside this.

    python -m tests.infra.roles > tests/infra/roles.list

A deployment with more in it has the lines of the former ones too; only what it adds is printed.
"""

import functools
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from infra.settings import Deployment
from infra.stacks import add_stacks
from tests.infra.conftest import cdk_context

TABLE = Path(__file__).with_name("roles.list")
JWT = {"auth": "jwt", "jwt_issuer": "https://issuer.example", "jwt_audience": "tickets"}
GPU = {"gpu": "scale-to-zero", "gpu_async": True}
# Arguments beside stage=prod and model=tickets. A pair of settings that add nothing to each other is one deployment.
DEPLOYMENTS: tuple[dict[str, object], ...] = (
    {},
    {**GPU, "spark_max_vcpus": 64, **JWT},
    {**GPU, "spark_max_vcpus": 64, **JWT, "gpu": "always-on", "kms_key": "own", "waf": True},
    {"auth": "iam", "local": True, "retain": False},
)


@dataclass(frozen=True, order=True)
class Grant:
    """One action on one resource; ``condition`` is empty if there is none."""

    stack: str
    role: str
    action: str
    resource: str
    condition: str = ""

    def __str__(self) -> str:
        return f"    {self.action} on {self.resource}" + (f" if {self.condition}" if self.condition else "")


@functools.cache
def grants(**arguments: object) -> frozenset[Grant]:
    """All that a deployment grants to its roles. Synthesized without cdk-nag, which has tests of its own."""
    with tempfile.TemporaryDirectory() as directory:
        context = cdk_context(stage="prod", model="tickets", **arguments) | {"aws:cdk:bundling-stacks": []}
        app = cdk.App(context=context, outdir=directory)
        stacks = add_stacks(app, deployment=Deployment.from_context(app.node.get_all_context()))
        app.synth()
        templates = {stack.stack_name: Path(directory, stack.template_file).read_text() for stack in stacks}
    return frozenset(grant for stack, text in templates.items() for grant in _of_template(stack, json.loads(text)))


def table() -> str:
    """The whole table: deployment by deployment what each adds, role by role."""
    lines, known = (
        [(__doc__ or "").splitlines()[0], "Made by: python -m tests.infra.roles > tests/infra/roles.list"],
        set(),
    )
    for arguments in DEPLOYMENTS:
        told = " ".join(f"{name}={value}" for name, value in arguments.items()) or "without further arguments"
        lines += ["", f"=== {told}"]
        added = sorted(grants(**arguments) - known)
        known |= set(added)
        last = ("", "")
        lines += [] if added else ["", "nothing more"]
        for grant in added:
            if (grant.stack, grant.role) != last:
                last = (grant.stack, grant.role)
                lines += ["", f"{grant.stack} {grant.role}"]
            lines.append(str(grant))
    return "\n".join(lines) + "\n"


def _of_template(stack: str, template: dict[str, Any]) -> Iterator[Grant]:
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Role":
            yield from _of_role(stack, _plain_id(name), properties)
        elif resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            for role in properties["Roles"]:
                yield from _of_document(stack, _plain_id(role["Ref"]), properties["PolicyDocument"])


def _of_role(stack: str, role: str, properties: dict[str, Any]) -> Iterator[Grant]:
    for statement in properties["AssumeRolePolicyDocument"]["Statement"]:
        for action in _listed(statement["Action"]):
            yield Grant(stack, role, action, f"itself, by {_plain(statement['Principal'])}", _condition(statement))
    for policy in properties.get("ManagedPolicyArns", []):
        yield Grant(stack, role, "all", f"what is in {_plain(policy)}")
    for policy in properties.get("Policies", []):
        yield from _of_document(stack, role, policy["PolicyDocument"])


def _of_document(stack: str, role: str, document: dict[str, Any]) -> Iterator[Grant]:
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow", statement
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                yield Grant(stack, role, action, _plain(resource), _condition(statement))


def _condition(statement: dict[str, Any]) -> str:
    parts = []
    for operator, keys in sorted(statement.get("Condition", {}).items()):
        parts += [f"{operator} {key} {' or '.join(map(_plain, _listed(value)))}" for key, value in sorted(keys.items())]
    return " and ".join(parts)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> str:
    """A value of a template in a line, without the hashes in logical ids: {ModelStoreBucket.Arn}/models/tickets/*."""
    if not isinstance(value, dict):
        return re.sub("[0-9a-f]{64}", "<digest>", str(value))  # of an asset: another one with every change
    if len(value) > 1:
        return json.dumps(value, sort_keys=True)
    ((function, argument),) = value.items()
    return _WRITERS.get(function, lambda given: f"{function}({', '.join(map(_plain, _listed(given)))})")(argument)


def _import(export: str) -> str:
    """An export of another stack: slipway-prod-store:ExportsOutputFnGetAttModelStoreBucket9405F36EArn0FD5CBF9."""
    stack, _, name = export.partition(":ExportsOutput")
    name = name.removeprefix("FnGetAtt").removeprefix("Ref")
    return f"{{{stack} {re.sub('[0-9A-F]{8}', '.', name).strip('.')}}}"


_WRITERS: dict[str, Callable[[Any], str]] = {
    "Ref": lambda name: f"{{{_plain_id(name)}}}",
    "Fn::GetAtt": lambda path: f"{{{_plain_id(path[0])}.{path[1]}}}",
    "Fn::Join": lambda parts: str(parts[0]).join(map(_plain, parts[1])),
    "Fn::ImportValue": _import,
    "Service": lambda names: " or ".join(map(_plain, _listed(names))),
}


def _plain_id(logical_id: str) -> str:
    return logical_id.removeprefix("AWS::") if "::" in logical_id else re.sub(r"[0-9A-F]{8}$", "", logical_id)


if __name__ == "__main__":
    sys.stdout.write(table())
