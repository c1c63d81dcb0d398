"""What every bucket of ours is: private, encrypted, versioned, over TLS only."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct


def private_bucket(
    scope: Construct, construct_id: str, *, retain: bool, lifecycle_rules: Sequence[s3.LifecycleRule], unlogged: str
) -> s3.Bucket:
    """``retain`` keeps the bucket when its stack is deleted; without it CloudFormation deletes it once it is empty.

    ``unlogged`` says why it has no access logs.
    """
    bucket = s3.Bucket(
        scope,
        construct_id,
        # The account's own aws/s3 key: KMS with its audit trail, without the monthly price of a key of one's own;
        # and with a bucket key S3 asks KMS once in a while instead of at every read.
        encryption=s3.BucketEncryption.KMS_MANAGED,
        bucket_key_enabled=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True,
        lifecycle_rules=lifecycle_rules,
        removal_policy=cdk.RemovalPolicy.RETAIN if retain else cdk.RemovalPolicy.DESTROY,
    )
    cdk.Validations.of(bucket).acknowledge(cdk.Acknowledgment(id="AwsSolutions-S1", reason=unlogged))
    return bucket
