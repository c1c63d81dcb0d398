"""The bucket that holds every version of every model, with its live pointer and ledger."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct


class ModelStore(Construct):
    """A private, encrypted, versioned bucket.

    ``retain`` keeps the ``bucket``, with its models, when the stack is deleted. Without it CloudFormation deletes it
    only once it is empty: no model is lost by accident either way.
    """

    def __init__(self, scope: Construct, construct_id: str, *, retain: bool) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            # The account's own aws/s3 key: KMS with its audit trail, without the monthly price of a key of one's own;
            # and with a bucket key S3 asks KMS once in a while instead of at every read.
            encryption=s3.BucketEncryption.KMS_MANAGED,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    # Versions of a model are never overwritten: only the live pointer leaves old states behind.
                    noncurrent_version_expiration=cdk.Duration.days(30),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
            removal_policy=cdk.RemovalPolicy.RETAIN if retain else cdk.RemovalPolicy.DESTROY,
        )
        cdk.Validations.of(self.bucket).acknowledge(
            cdk.Acknowledgment(
                id="AwsSolutions-S1",
                reason="Access logs need a second bucket and say nothing new: each change of the live model is in "
                "the ledger, and CloudTrail data events can be turned on for the account.",
            )
        )

    def grant_read_model(self, grantee: iam.IGrantable, *, model: str) -> iam.Grant:
        """Let ``grantee`` list and read the objects of one model, and nothing else: no other model, no writing."""
        listing = iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["s3:ListBucket"],
            resource_arns=[self.bucket.bucket_arn],
            # Reading an object that isn't there is "not found" only to who may list, and such a read carries no prefix:
            # without IfExists an unknown version would look like a denied one.
            conditions={"StringLikeIfExists": {"s3:prefix": f"models/{model}/*"}},
        )
        reading = iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["s3:GetObject"],
            resource_arns=[self.bucket.arn_for_objects(f"models/{model}/*")],
        )
        return listing.combine(reading)
