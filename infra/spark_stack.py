"""The stack ``slipway-<stage>-<model>-spark``: stateless, and there only if a deployment asks for it."""

import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.acknowledgments import BUCKET_EXPORT, DATA_EXPORT
from infra.data_bucket import DataBucket
from infra.model_store import ModelStore
from infra.settings import Deployment
from infra.spark_application import SparkApplication

# cdk-nag names a resource of another stack by its export. A renamed construct changes it; synthesis then says so.
_MODELS = f"store:{BUCKET_EXPORT}/models"
_DATA = f"data:{DATA_EXPORT}"


class SparkStack(cdk.Stack):
    """Holds ``spark``, which scores folders in ``data`` with one model in ``store`` on at most ``max_vcpus``."""

    def __init__(
        self, scope: Construct, *, deployment: Deployment, store: ModelStore, data: DataBucket, max_vcpus: int
    ) -> None:
        super().__init__(scope, f"slipway-{deployment.stage}-{deployment.model}-spark")
        self.spark = SparkApplication(self, "Spark", deployment=deployment, store=store, data=data, max_vcpus=max_vcpus)
        acknowledge_spark(self.spark, stage=deployment.stage, model=deployment.model)
        cdk.CfnOutput(self, "Application", value=self.spark.application.attr_application_id)
        cdk.CfnOutput(self, "Job", value=self._job(deployment).parameter_name)

    def _job(self, deployment: Deployment) -> ssm.StringParameter:
        """The request as ``aws emr-serverless start-job-run --cli-input-json`` takes it.

        A parameter, because an output cannot hold names of buckets that are outputs of other stacks.
        """
        return ssm.StringParameter(
            self,
            "Request",
            parameter_name=f"/slipway/{deployment.stage}/{deployment.model}/spark-job",
            description=f"Starts a Spark job with the model {deployment.model}; see docs/batch.md",
            string_value=self.to_json_string(self.spark.job),
        )


def acknowledge_spark(spark: SparkApplication, *, stage: str, model: str) -> None:
    """Say why the findings on ``spark`` are right as they are."""
    files = "Only this model's files, whose names are their owners' choice."
    findings = {f"slipway-{stage}-{_DATA}/{folder}/{model}/*": files for folder in ("inbox", "bulk", "outbox")}
    findings[f"slipway-{stage}-{_MODELS}/{model}/*"] = (
        "Read-only, and only this model: its versions' names aren't known before they are built."
    )
    findings["arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:*"] = (
        "logs:DescribeLogGroups, by which EMR finds the log group, takes no single one."
    )
    for resource, reason in findings.items():
        rule = cdk.Acknowledgment(id=f"AwsSolutions-IAM5[Resource::{resource}]", reason=reason)
        cdk.Validations.of(spark.role).acknowledge(rule)
