"""The bucket that files are uploaded to and results come back in."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.private_bucket import private_bucket

JOBS_KEPT = 14  # days; as long as a failed execution can be redriven
_KEPT_VERSIONS = 30  # days


class DataBucket(Construct):
    """A private, encrypted, versioned ``bucket`` that tells EventBridge of every upload.

    What people put into it and what comes back stays until they delete it; what a job needs while it runs expires, and
    so do requests in files and their answers, which lie among those of jobs.
    """

    def __init__(self, scope: Construct, construct_id: str, *, retain: bool, key: kms.IKey | None = None) -> None:
        super().__init__(scope, construct_id)
        self.bucket = private_bucket(
            self,
            "Bucket",
            retain=retain,
            key=key,
            lifecycle_rules=[
                *(
                    s3.LifecycleRule(prefix=prefix, expiration=cdk.Duration.days(JOBS_KEPT))
                    for prefix in ("jobs/", "async/")
                ),
                s3.LifecycleRule(
                    noncurrent_version_expiration=cdk.Duration.days(_KEPT_VERSIONS),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
                ),
            ],
            unlogged="Access logs need a second bucket; CloudTrail data events can be turned on for the account.",
        )
        # A property of the bucket: CDK's own switch is a custom resource with a function of its own.
        resource = self.bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)  # noqa: S101  it is what Bucket is made of
        resource.add_property_override("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True)

    def grant_read(self, grantee: iam.IGrantable, *prefixes: str) -> None:
        """Let ``grantee`` list and read what begins with one of ``prefixes``."""
        self._grant(grantee, ["s3:GetObject", "s3:GetObjectVersion"], prefixes)
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["s3:ListBucket"],
            resource_arns=[self.bucket.bucket_arn],
            # IfExists as in ``ModelStore``, with what follows from it: a read of what is not there carries no prefix.
            conditions={"StringLikeIfExists": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        )

    def grant_write(self, grantee: iam.IGrantable, *prefixes: str) -> None:
        """Let ``grantee`` write what begins with one of ``prefixes``."""
        self._grant(grantee, ["s3:PutObject", "s3:AbortMultipartUpload"], prefixes)

    def _grant(self, grantee: iam.IGrantable, actions: list[str], prefixes: tuple[str, ...]) -> None:
        arns = [self.bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes]
        iam.Grant.add_to_principal(grantee=grantee, actions=actions, resource_arns=arns)
