"""What outgrows Lambda: an EMR Serverless application that costs nothing at rest, and the role and code of its jobs.

A job is one request, ``SparkApplication.job``: nothing of a version of our code is in the application itself, which
CloudFormation would have to stop to change.
"""

import aws_cdk as cdk
from aws_cdk import aws_emrserverless as emr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.data_bucket import DataBucket
from infra.log_groups import log_group
from infra.model_store import ModelStore
from infra.packaging import ROOT
from infra.settings import Deployment
from infra.spark_packages import PACKAGE, packages_asset

RELEASE = "emr-7.13.0"  # Spark 3.5.6; supported until April 2028
FOLDER = "FOLDER"  # in ``job``, for the name of the folder
_IDLE_MINUTES = 15
_NAME = 64  # characters that EMR takes
_GB, _DISK_GB = 4, 10  # a vCPU, at most: the driver has 2 vCPUs, 8 GB and a disk of 20 GB, which costs nothing
_TIMEOUT_MINUTES = 2 * 24 * 60  # of a job; EMR's own default is 12 hours
_PYTHON = "/usr/bin/python3.11"  # EMR 7's default is 3.9
_UNPACKED = "environment"


class SparkApplication(Construct):
    """``application``, its ``logs``, the ``role`` of its jobs, their code (``entry``, ``packages``) and a ``job``."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployment: Deployment,
        store: ModelStore,
        data: DataBucket,
        max_vcpus: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self.logs = log_group(self, "Logs", deployment=deployment)
        self.application = self._application(deployment, max_vcpus)
        self.entry = s3_assets.Asset(self, "Entry", path=str(ROOT / PACKAGE / "spark.py"))
        self.packages = packages_asset(self, "Packages")
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("emr-serverless.amazonaws.com"))
        self._grant(deployment.model, store, data)
        self.job = self._job(deployment, store, data)

    def _application(self, deployment: Deployment, max_vcpus: int) -> emr.CfnApplication:
        of = emr.CfnApplication
        return emr.CfnApplication(
            self,
            "Application",
            name=f"slipway-{deployment.stage}-{deployment.model}"[:_NAME],
            type="SPARK",
            release_label=RELEASE,
            architecture="X86_64",  # the CPUs that the build's gates know
            auto_start_configuration=of.AutoStartConfigurationProperty(enabled=True),
            auto_stop_configuration=of.AutoStopConfigurationProperty(enabled=True, idle_timeout_minutes=_IDLE_MINUTES),
            maximum_capacity=of.MaximumAllowedResourcesProperty(
                cpu=f"{max_vcpus} vCPU", memory=f"{max_vcpus * _GB} GB", disk=f"{max_vcpus * _DISK_GB} GB"
            ),
            monitoring_configuration=of.MonitoringConfigurationProperty(
                # By default the driver's two streams, which are enough to see why a job failed.
                cloud_watch_logging_configuration=of.CloudWatchLoggingConfigurationProperty(
                    enabled=True, log_group_name=self.logs.log_group_name
                ),
                # EMR's own, encrypted and kept for 30 days: Spark's UI reads from it.
                managed_persistence_monitoring_configuration=of.ManagedPersistenceMonitoringConfigurationProperty(
                    enabled=True
                ),
            ),
        )

    def _grant(self, model: str, store: ModelStore, data: DataBucket) -> None:
        inbox, bulk, outbox = f"inbox/{model}/", f"bulk/{model}/", f"outbox/{model}/"
        store.grant_read_model(self.role, model=model)
        data.grant_read(self.role, inbox, bulk, outbox)
        data.grant_write(self.role, outbox)
        # What tasks wrote is renamed or cleared away once the job commits. Versions are not deleted: all comes back.
        _allow(self.role, ["s3:DeleteObject"], data.bucket.arn_for_objects(f"{outbox}*"))
        for asset in (self.entry, self.packages):
            _allow(self.role, ["s3:GetObject"], asset.bucket.arn_for_objects(asset.s3_object_key))
        self.logs.grant_write(self.role)
        _allow(self.role, ["logs:DescribeLogStreams"], self.logs.log_group_arn)
        _allow(self.role, ["logs:DescribeLogGroups"], _log_groups(self.logs))

    def _job(self, deployment: Deployment, store: ModelStore, data: DataBucket) -> dict[str, object]:
        """The request StartJobRun for the folder ``FOLDER``.

        It lies in bulk/ and not in inbox/: what is uploaded there is scored by the batch workflow, file by file.
        """
        bucket, model = data.bucket.bucket_name, deployment.model
        which = ["--bucket", store.bucket.bucket_name, "--model", model]
        which += ["--trusted-keys", deployment.trusted_keys] if deployment.trusted_keys else []
        places = [f"s3://{bucket}/bulk/{model}/{FOLDER}", f"s3://{bucket}/outbox/{model}/{FOLDER}"]
        submit = {
            "entryPoint": self.entry.s3_object_url,
            "entryPointArguments": [*places, *which],
            "sparkSubmitParameters": spark_parameters(self.packages.s3_object_url, region=cdk.Stack.of(self).region),
        }
        return {
            "applicationId": self.application.attr_application_id,
            "executionRoleArn": self.role.role_arn,
            "executionTimeoutMinutes": _TIMEOUT_MINUTES,
            "jobDriver": {"sparkSubmit": submit},
        }


def spark_parameters(packages: str, *, region: str) -> str:
    """The arguments of spark-submit for the zip ``packages``."""
    environment = {"PYSPARK_PYTHON": _PYTHON, "PYTHONPATH": f"./{_UNPACKED}", "AWS_DEFAULT_REGION": region}
    properties = {
        "spark.archives": f"{packages}#{_UNPACKED}",
        "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": _PYTHON,
        **{f"spark.emr-serverless.driverEnv.{name}": value for name, value in environment.items()},
        **{f"spark.executorEnv.{name}": value for name, value in environment.items()},
        "spark.sql.catalogImplementation": "in-memory",  # else the role would need Glue
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1024",  # rows; the window that the predictor sorts
        "spark.sql.files.maxPartitionBytes": "32m",  # a task: minutes of one core, and what a retry repeats
        "spark.driver.cores": "2",
        "spark.driver.memory": "4g",
        "spark.executor.cores": "4",
        "spark.executor.memory": "6g",
        "spark.emr-serverless.memoryOverheadFactor": "1.0",  # as much for Python, where the models are, as for Java
    }
    return " ".join(f"--conf {name}={value}" for name, value in properties.items())


def _allow(grantee: iam.IGrantable, actions: list[str], arn: str) -> None:
    iam.Grant.add_to_principal(grantee=grantee, actions=actions, resource_arns=[arn])


def _log_groups(group: logs.LogGroup) -> str:
    return cdk.Stack.of(group).format_arn(
        service="logs", resource="log-group", resource_name="*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )
