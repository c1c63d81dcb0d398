"""The key of a stage that signs versions: in KMS, so that nobody has its private half, and CloudTrail has each use."""

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from constructs import Construct


class SigningKey(Construct):
    """``key``, under the alias slipway-<stage>-signing.

    Nothing that serves may use it, or read it: functions trust its fingerprint. Who publishes needs ``kms:Sign`` and
    ``kms:GetPublicKey``, which IAM of the account gives.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: str, retain: bool) -> None:
        super().__init__(scope, construct_id)
        self.key = kms.Key(
            self,
            "Key",
            alias=f"slipway-{stage}-signing",
            description=f"Signs versions of the models of the stage {stage} (docs/signing.md)",
            # As `slipway keys new` makes them, and as slipway.signatures verifies them.
            key_spec=kms.KeySpec.RSA_3072,
            key_usage=kms.KeyUsage.SIGN_VERIFY,
            removal_policy=cdk.RemovalPolicy.RETAIN if retain else cdk.RemovalPolicy.DESTROY,
            pending_window=None if retain else cdk.Duration.days(7),
        )
