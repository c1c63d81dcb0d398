"""What every bucket of ours is: private, encrypted, versioned, over TLS only."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct


def private_bucket(
    scope: Construct,
    construct_id: str,
    *,
    retain: bool,
    lifecycle_rules: Sequence[s3.LifecycleRule],
    unlogged: str,
    key: kms.IKey | None = None,
) -> s3.Bucket:
    """``retain`` keeps the bucket when its stack is deleted; without it CloudFormation deletes it once it is empty.

    ``unlogged`` says why it has no access logs. ``key`` is the team's own, None for the account's aws/s3.
    """
    bucket = s3.Bucket(
        scope,
        construct_id,
        # The account's own aws/s3 key: KMS with its audit trail, without the monthly price of a key of one's own;
        # and with a bucket key S3 asks KMS once in a while instead of at every read.
        encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.KMS_MANAGED,
        encryption_key=key,
        bucket_key_enabled=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True,
        lifecycle_rules=lifecycle_rules,
        removal_policy=cdk.RemovalPolicy.RETAIN if retain else cdk.RemovalPolicy.DESTROY,
    )
    _refuse_other_encryption(bucket, key)
    cdk.Validations.of(bucket).acknowledge(cdk.Acknowledgment(id="AwsSolutions-S1", reason=unlogged))
    return bucket


def _refuse_other_encryption(bucket: s3.Bucket, key: kms.IKey | None) -> None:
    """What says nothing of encryption is encrypted as the bucket is: plain copies, uploads to handed-out addresses.

    So only what asks for another way is refused: no KMS, another key (which our roles may not use), or a key that the
    caller keeps. ``Null`` stands beside each comparison because a header that is not there differs from everything.
    """
    asks_for = "s3:x-amz-server-side-encryption"
    named_key = f"{asks_for}-aws-kms-key-id"
    refused: dict[str, dict[str, dict[str, str]]] = {
        "AnotherEncryption": {"Null": {asks_for: "false"}, "StringNotEquals": {asks_for: "aws:kms"}},
        "AnotherKey": {"Null": {named_key: "false"}},
        "KeyOfTheCaller": {"Null": {f"{asks_for}-customer-algorithm": "false"}},
    }
    if key:
        refused["AnotherKey"]["StringNotEquals"] = {named_key: key.key_arn}
    for sid, conditions in refused.items():
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:PutObject"],
                resources=[bucket.arn_for_objects("*")],
                conditions=conditions,
            )
        )
