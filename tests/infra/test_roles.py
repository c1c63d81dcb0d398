"""Least privilege: a grant that is new, wider or gone shows in the table of all, and in its review."""

import re

import pytest

from tests.infra.roles import DEPLOYMENTS, TABLE, Grant, grants, table

# What is granted on everything, and why it cannot be on less.
EVERYWHERE = {
    "xray:PutTraceSegments": "takes no resource",
    "xray:PutTelemetryRecords": "takes no resource",
    "xray:GetSamplingRules": "takes no resource",
    "xray:GetSamplingTargets": "takes no resource",
    "logs:CreateLogDelivery": "takes no resource; a workflow's logs are delivered, which takes all that AWS lists",
    "logs:GetLogDelivery": "as above",
    "logs:UpdateLogDelivery": "as above",
    "logs:DeleteLogDelivery": "as above",
    "logs:ListLogDeliveries": "as above",
    "logs:PutResourcePolicy": "as above",
    "logs:DescribeResourcePolicies": "as above",
    "logs:DescribeLogGroups": "as above",
    "cloudwatch:PutMetricData": "takes no resource; a condition bounds its namespace",
    "cloudwatch:GetMetricStatistics": "takes no resource",
    "ecr:GetAuthorizationToken": "takes no resource",
    "sagemaker:ListModels": "takes no resource",
    "sagemaker:ListEndpointConfigs": "takes no resource",
}
# What could make more of a role than it is.
POWERFUL = ("iam:", "sts:", "kms:Create", "kms:Put", "lambda:Update", "lambda:Add", "s3:PutBucket", "s3:PutObjectAcl")


@pytest.fixture(scope="module")
def everything() -> list[Grant]:
    """The grants of the deployment that has most."""
    return sorted(grants(**DEPLOYMENTS[2]))


def test_every_action_and_resource_of_every_role_is_in_the_reviewed_table() -> None:
    assert table() == TABLE.read_text(), "review the change: python -m tests.infra.roles > tests/infra/roles.list"


def test_no_action_is_a_pattern(everything: list[Grant]) -> None:
    assert len(everything) > 150
    assert [grant for grant in everything if "*" in grant.action] == []


def test_what_is_granted_on_everything_has_a_reason(everything: list[Grant]) -> None:
    assert {grant.action for grant in everything if grant.resource == "*"} <= EVERYWHERE.keys()


def test_data_and_models_are_granted_by_their_folder(everything: list[Grant]) -> None:
    objects = {grant for grant in everything if re.match(r"s3:(Get|Put|Delete|Abort)", grant.action)}
    ours = {grant for grant in objects if "<digest>" not in grant.resource}  # the others are what CDK uploaded
    assert len(ours) > 50
    assert [grant for grant in ours if "/tickets/" not in grant.resource] == []


def test_only_spark_deletes_and_nobody_deletes_models(everything: list[Grant]) -> None:
    deleting = {(grant.role, grant.resource) for grant in everything if grant.action.startswith("s3:Delete")}
    assert {role for role, _ in deleting} == {"SparkRole"}
    assert all("/outbox/tickets/*" in resource for _, resource in deleting)


def test_of_models_only_the_pulse_of_traffic_and_a_bake_s_pointer_are_written(everything: list[Grant]) -> None:
    written = {g.resource for g in everything if g.action == "s3:PutObject" and "ModelStore" in g.resource}
    bucket = "{slipway-prod-store ModelStoreBucket.Arn}"
    models = {resource.removeprefix(bucket) for resource in written if resource.startswith(f"{bucket}/models/")}
    assert models == {"/models/tickets/traffic.json", "/models/tickets/live.json", "/models/tickets/ledger/*"}


def test_no_role_can_become_another_or_change_what_is_allowed(everything: list[Grant]) -> None:
    powerful = {grant for grant in everything if grant.action.startswith(POWERFUL)}
    assumed = {grant for grant in powerful if grant.action == "sts:AssumeRole" and grant.resource.startswith("itself")}
    assert {(grant.role, grant.action) for grant in powerful - assumed} == {("ReleaseRollRole", "iam:PassRole")}
    assert all(re.search(r"by [a-z-]+\.amazonaws\.com", grant.resource) for grant in assumed)


def test_the_key_is_used_through_the_services_of_what_it_encrypts(everything: list[Grant]) -> None:
    keyed = [grant for grant in everything if grant.action.startswith("kms:")]
    assert {grant.action for grant in keyed} == {"kms:Decrypt", "kms:GenerateDataKey"}
    through = {grant for grant in keyed if grant.condition.startswith("StringEquals kms:ViaService")}
    assert {grant.action for grant in keyed if grant not in through} == {"kms:Decrypt"}  # a function's variables
