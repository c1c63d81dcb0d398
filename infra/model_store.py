"""The bucket that holds every version of every model, with its live pointer and ledger."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.private_bucket import private_bucket


class ModelStore(Construct):
    """A private, encrypted, versioned bucket.

    ``retain`` keeps the ``bucket``, with its models, when the stack is deleted. Without it CloudFormation deletes it
    only once it is empty: no model is lost by accident either way.
    """

    def __init__(self, scope: Construct, construct_id: str, *, retain: bool, key: kms.IKey | None = None) -> None:
        super().__init__(scope, construct_id)
        self.bucket = private_bucket(
            self,
            "Bucket",
            retain=retain,
            key=key,
            lifecycle_rules=[
                s3.LifecycleRule(
                    # Versions of a model are never overwritten: only the live pointer leaves old states behind.
                    noncurrent_version_expiration=cdk.Duration.days(30),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                ),
                # The longest bake takes twelve days, and its reasons are in the ledger.
                s3.LifecycleRule(prefix="bakes/", expiration=cdk.Duration.days(30)),
                s3.LifecycleRule(prefix="drift/", expiration=cdk.Duration.days(90)),  # slipway.drift.windows
            ],
            unlogged="Access logs need a second bucket and say nothing new: each change of the live model is in "
            "the ledger, and CloudTrail data events can be turned on for the account.",
        )
        self._keep_ledger()

    def _keep_ledger(self) -> None:
        """What was written into a ledger is not replaced, by whoever may write: S3 asks each put for If-None-Match."""
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LedgerIsAppendOnly",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:PutObject"],
                resources=[self.bucket.arn_for_objects("models/*/ledger/*")],
                conditions={"Null": {"s3:if-none-match": "true"}},
            )
        )

    def grant_read_model(self, grantee: iam.IGrantable, *, model: str) -> iam.Grant:
        """Let ``grantee`` list and read the objects of one model: no other model's, and no writing.

        It can learn the names of other objects in the bucket, by a listing without a prefix.
        """
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

    def grant_move_pointer(self, grantee: iam.IGrantable, *, model: str) -> iam.Grant:
        """Let ``grantee`` replace the live pointer of one model and write its ledger."""
        objects = (f"models/{model}/live.json", f"models/{model}/ledger/*")
        return self._grant("s3:PutObject", grantee, *objects)

    def grant_read_bakes(self, grantee: iam.IGrantable, *, model: str) -> iam.Grant:
        """Let ``grantee`` list and read what was counted of one model's canaries."""
        listing = iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["s3:ListBucket"],
            resource_arns=[self.bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": f"bakes/{model}/*"}},
        )
        return listing.combine(self._grant("s3:GetObject", grantee, f"bakes/{model}/*"))

    def grant_write_bakes(self, grantee: iam.IGrantable, *, model: str) -> iam.Grant:
        """Let ``grantee`` leave counts of one model's canaries, which is nothing that anybody serves."""
        return self._grant("s3:PutObject", grantee, f"bakes/{model}/*")

    def _grant(self, action: str, grantee: iam.IGrantable, *objects: str) -> iam.Grant:
        arns = [self.bucket.arn_for_objects(pattern) for pattern in objects]
        return iam.Grant.add_to_principal(grantee=grantee, actions=[action], resource_arns=arns)
