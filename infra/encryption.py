"""A key of the team's own (``kms_key``) for all that is kept: buckets, logs, queues, topics, functions' variables.

Nothing but this module and the buckets knows of it. Once everything is there, it goes to whatever keeps something, and
who may read or write an encrypted thing may use the key, through the thing's own service alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.settings import Deployment

_READ = ("kms:Decrypt",)
_WRITE = ("kms:Decrypt", "kms:GenerateDataKey")  # what is written in parts, or to a queue, is read again
# What a role does, the service through which it does so, and what that takes of the key.
_NEEDS: dict[str, tuple[str, Sequence[str]]] = {
    "s3:GetObject": ("s3", _READ),
    "s3:PutObject": ("s3", _WRITE),
    "sqs:ReceiveMessage": ("sqs", _READ),
    "sqs:SendMessage": ("sqs", _WRITE),
    "sns:Publish": ("sns", _WRITE),
}
# Services that bring something into an encrypted queue or topic by themselves.
_BRINGERS = ("events.amazonaws.com", "cloudwatch.amazonaws.com")


def stage_key(scope: Construct, *, deployment: Deployment) -> kms.IKey | None:
    """The key of ``deployment``, None if AWS's own are enough.

    A key that is given by its ARN must itself let in whom ``_let_services_in`` does: docs/security.md has the policy.
    """
    if deployment.kms_key == "aws":
        return None
    if deployment.kms_key != "own":
        return kms.Key.from_key_arn(scope, "Key", deployment.kms_key)
    key = kms.Key(
        scope,
        "Key",
        description=f"What the stage {deployment.stage} keeps: models, files, logs",
        enable_key_rotation=True,
        removal_policy=cdk.RemovalPolicy.RETAIN if deployment.retain else cdk.RemovalPolicy.DESTROY,
    )
    _let_services_in(key)
    return key


def encrypt(stacks: Iterable[cdk.Stack], *, key: kms.IKey) -> None:
    """Have all that ``stacks`` keep encrypted with ``key``, and let their roles use it for that."""
    for stack in stacks:
        for construct in stack.node.find_all():
            _use(construct, key)
        asked = _actions_by_role(stack)
        for construct in stack.node.find_all():
            if isinstance(construct, iam.Role):
                resource = construct.node.default_child
                assert isinstance(resource, cdk.CfnElement)  # noqa: S101  it is what Role is made of
                _grant(construct, asked[stack.get_logical_id(resource)], key)


def _use(construct: object, key: kms.IKey) -> None:
    if isinstance(construct, logs.CfnLogGroup):
        construct.kms_key_id = key.key_arn
    elif isinstance(construct, sqs.CfnQueue):
        construct.kms_master_key_id = key.key_arn
        construct.sqs_managed_sse_enabled = None
    elif isinstance(construct, sns.CfnTopic):
        construct.kms_master_key_id = key.key_arn
    elif isinstance(construct, lambda_.CfnFunction):
        construct.kms_key_arn = key.key_arn
    elif isinstance(construct, lambda_.Function) and construct.role:
        # Not through a service: Lambda decrypts a function's variables in the function's name.
        iam.Grant.add_to_principal(grantee=construct.role, actions=list(_READ), resource_arns=[key.key_arn])


def _actions_by_role(stack: cdk.Stack) -> Mapping[str, set[str]]:
    """What the policies of a stack allow its roles, which have their logical ids here."""
    found: dict[str, set[str]] = defaultdict(set)
    for construct in stack.node.find_all():
        if isinstance(construct, iam.CfnPolicy):
            document: Any = stack.resolve(construct.policy_document)
            listed = [statement["Action"] for statement in document["Statement"]]
            allowed = {action for some in listed for action in ([some] if isinstance(some, str) else some)}
            for role in stack.resolve(construct.roles):
                found[role["Ref"]] |= allowed
    return found


def _grant(role: iam.Role, actions: set[str], key: kms.IKey) -> None:
    needed: dict[str, set[str]] = defaultdict(set)
    for action in sorted(actions & _NEEDS.keys()):
        service, uses = _NEEDS[action]
        needed[service] |= set(uses)
    for service, allowed in needed.items():
        through = {"StringEquals": {"kms:ViaService": f"{service}.{cdk.Aws.REGION}.amazonaws.com"}}
        iam.Grant.add_to_principal(
            grantee=role, actions=sorted(allowed), resource_arns=[key.key_arn], conditions=through
        )


def _let_services_in(key: kms.Key) -> None:
    """Logs of this account's groups, and what EventBridge and alarms bring to this account's queues and topics."""
    groups = cdk.Fn.join(":", ["arn", cdk.Aws.PARTITION, "logs", cdk.Aws.REGION, cdk.Aws.ACCOUNT_ID, "log-group", "*"])
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(f"logs.{cdk.Aws.REGION}.amazonaws.com")],
            actions=[
                *("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
                *("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey"),
            ],
            resources=["*"],  # in a key's policy, the key itself
            conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        )
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(service) for service in _BRINGERS],
            actions=list(_WRITE),
            resources=["*"],
            conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
        )
    )
