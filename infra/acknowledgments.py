"""The cdk-nag findings on the API that stay, each with its reason."""

from collections.abc import Sequence

from aws_cdk import Acknowledgment, Validations
from constructs import Construct

from infra.predict_api import PredictApi

# cdk-nag names a resource of another stack by its export. A renamed construct changes it; synthesis then says so.
_BUCKET_EXPORT = "ExportsOutputFnGetAttModelStoreBucket9405F36EArn0FD5CBF9"


def acknowledge_predict_api(predict: PredictApi, *, stage: str, models: Sequence[str]) -> None:
    """Say why the findings on ``predict`` are right as they are."""
    for construct, rule, reason in (
        (
            predict.serving.role,
            "AwsSolutions-IAM5[Resource::*]",
            "xray:PutTraceSegments and xray:PutTelemetryRecords take no resource: AWS defines them for '*' only.",
        ),
        *(
            (
                predict.serving.role,
                f"AwsSolutions-IAM5[Resource::slipway-{stage}-store:{_BUCKET_EXPORT}/models/{model}/*]",
                "Read-only, and only this model: its versions' names aren't known before they are built.",
            )
            for model in models
        ),
        (
            predict.serving.function,
            "Serverless-LambdaDLQ",
            "Called synchronously by API Gateway only: the caller gets the error and no event can be lost.",
        ),
        *_api_findings(predict),
    ):
        _acknowledge(construct, rule, reason)


def _api_findings(predict: PredictApi) -> tuple[tuple[Construct, str, str], ...]:
    return (
        (
            predict.api,
            "AwsSolutions-APIG2",
            "The function checks every request against the documented schema and names the offending field; a gateway "
            "validator would answer the same mistakes with less.",
        ),
        (
            predict.api,
            "AwsSolutions-APIG3",
            "A web ACL costs more a month than a small API; keys, throttling and a quota bound what a caller can use.",
        ),
        (
            predict.api,
            "AwsSolutions-APIG4",
            "Machines call this API, each with a key of the usage plan, and no answer depends on who asks.",
        ),
        (predict.api, "AwsSolutions-COG4", "Machines call this API: there are no users to sign in."),
        (
            predict.api,
            "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]",
            "API Gateway's one logging role of the account and region, for which AWS prescribes this policy.",
        ),
    )


def _acknowledge(construct: Construct, rule: str, reason: str) -> None:
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))
