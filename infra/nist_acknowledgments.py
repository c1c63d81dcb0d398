"""The findings of NIST 800-53 that stay, by the decision that they are about: one reason for each, whatever it is on.

A team that must do otherwise takes a line out here, and synthesis names all that it is about.
"""

import aws_cdk as cdk

from infra.acknowledgments import acknowledge
from infra.settings import Deployment

_PACK = "NIST.800.53.R5"
_DECIDED = {
    "IAMNoInlinePolicy": (
        "Each policy is one role's alone, made and removed with it; a managed one could be attached to others. "
        "All of them are listed in tests/infra/roles.list."
    ),
    "LambdaConcurrency": (
        "Functions share the account's pool, and API Gateway's throttle bounds them; the argument reserved_concurrency "
        "bounds the one that callers reach. A reservation takes from all others."
    ),
    "LambdaDLQ": (
        "Who calls a function keeps what failed: API Gateway tells its caller, the workflow tries again, rules and "
        "queues have dead-letter queues. Serverless-LambdaDLQ is answered function by function."
    ),
    "LambdaInsideVPC": (
        "A VPC adds a network to run and its endpoints' price, and takes nothing away: what a function reaches is "
        "bounded by its role, and nothing reaches a function but by IAM."
    ),
    "APIGWCacheEnabledAndEncrypted": (
        "Nothing is cached: an answer depends on its text, and a cache would keep people's texts."
    ),
    "APIGWSSLEnabled": (
        "A client certificate is for HTTP backends; this one is a Lambda function, invoked through IAM."
    ),
    "S3BucketLoggingEnabled": (
        "Access logs need a second bucket; CloudTrail data events can be turned on for the account."
    ),
    "S3BucketReplicationEnabled": (
        "Versions protect from mistakes, and S3 keeps three zones; a second region doubles the price and moves "
        "people's data. A model is built again from its configuration."
    ),
    "CloudWatchAlarmAction": (
        "Alarms that end an update act through SageMaker; where the others lead is for the team to say."
    ),
    "SageMakerEndpointConfigurationKMSKeyConfigured": (
        "Instances with local NVMe take no key: their own hardware encrypts it, and SageMaker refuses one for them."
    ),
}
_WITHOUT_A_KEY = (
    "CloudWatch encrypts all logs, and no text is in them; a key of one's own costs money: kms_key=own makes one."
)
_WITHOUT_A_WEB_ACL = (
    "A web ACL costs more a month than a small API; throttling bounds what callers use. waf=true makes one."
)


def acknowledge_nist(stack: cdk.Stack, *, deployment: Deployment) -> None:
    """Say why the findings on ``stack`` are right as they are."""
    decided = dict(_DECIDED)
    if deployment.kms_key == "aws":
        decided["CloudWatchLogGroupEncrypted"] = _WITHOUT_A_KEY
    if not deployment.waf:
        decided["APIGWAssociatedWithWAF"] = _WITHOUT_A_WEB_ACL
    for rule, reason in decided.items():
        acknowledge(stack, f"{_PACK}-{rule}", reason)
