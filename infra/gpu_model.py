"""The container on a GPU and the live version's files in it, as SageMaker's model.

Which version that is, the template does not say: it would be the one of the day it was written, and the next
deployment would take every promotion since then back. ``LiveVersion`` asks instead, and only when something that a
deployment makes with the answer has changed: an unchanged endpoint is left to the promotions (infra/gpu_release.py).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.log_groups import log_group
from infra.packaging import ROOT, FunctionCode
from infra.settings import Deployment
from slipway.settings.endpoint import EndpointSettings

ENDPOINT = FunctionCode(source="functions/endpoint", handler="serve")
_NOISE = ("**/__pycache__", "**/*.pyc", "**/.DS_Store")


class GpuContainer(Construct):
    """The ``image``, and the ``role`` that its instances have: to fetch it and the model, and to write their logs."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.image = ecr_assets.DockerImageAsset(
            self,
            "Image",
            directory=str(ROOT),
            file=f"{ENDPOINT.source}/Dockerfile",
            platform=ecr_assets.Platform.LINUX_AMD64,
            ignore_mode=cdk.IgnoreMode.DOCKER,
            exclude=["*", *(f"!{path}" for path in ENDPOINT.sources), *_NOISE],
        )
        account = {"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}}
        principal = iam.ServicePrincipal("sagemaker.amazonaws.com", conditions=account)
        self.role = iam.Role(self, "Role", assumed_by=principal)
        self.image.repository.grant_pull(self.role)
        iam.Grant.add_to_principal(
            grantee=self.role,
            actions=["cloudwatch:PutMetricData"],  # of an instance: use of its GPU, memory and disk
            resource_arns=["*"],
            conditions={"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
        )

    def logs_to(self, construct_id: str, name: str, *, deployment: Deployment) -> logs.LogGroup:
        """The group that SageMaker writes to, made before it makes one that keeps its lines forever.

        It goes with the stack: its name is given, and a group that stayed would stop the next deployment.
        """
        group = log_group(self, construct_id, deployment=replace(deployment, retain=False), name=name)
        iam.Grant.add_to_principal(
            grantee=self.role,
            actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            resource_arns=[group.log_group_arn],
        )
        return group


class LiveVersion(Construct):
    """``version`` and ``name`` (the same in lower case) of what is live while a deployment asks for it."""

    def __init__(self, scope: Construct, construct_id: str, *, asked: lambda_.IFunction) -> None:
        super().__init__(scope, construct_id)
        self._definition = ""
        self._answer = cdk.CustomResource(
            self,
            "Answer",
            service_token=asked.function_arn,
            resource_type="Custom::LiveVersion",
            service_timeout=cdk.Duration.minutes(5),  # CloudFormation's own is an hour
        )
        if asked.role:
            self._answer.node.add_dependency(asked.role)
        self.version = self._answer.get_att_string("Version")
        self.name = self._answer.get_att_string("Name")

    def ask_again_if_changed(self, *definitions: object) -> None:
        """Ask whenever one of these is another: then CloudFormation updates what is made of the answer."""
        resolved = json.dumps(cdk.Stack.of(self).resolve(list(definitions)), sort_keys=True)
        self._definition = hashlib.sha256(resolved.encode()).hexdigest()
        self._resource(self._answer).add_property_override("Definition", self._definition)

    def named(self, prefix: str, what: cdk.CfnResource, *, property_name: str) -> None:
        """Name ``what`` as ``slipway.hosting.names`` says, by ``d``.

        The digest covers all that makes a deployment ask: so a name comes a second time only if nothing has changed.
        """
        salted = f"{self._definition} {what.node.path}".encode()
        digest = hashlib.sha256(salted).hexdigest()[:6]
        what.add_property_override(property_name, cdk.Fn.join("-", [prefix, self.name, f"d{digest}"]))

    @staticmethod
    def _resource(custom: cdk.CustomResource) -> cdk.CfnResource:
        resource = custom.node.default_child
        assert isinstance(resource, cdk.CfnResource)  # noqa: S101  it is what CustomResource is made of
        return resource


class GpuModel(Construct):
    """``resource``, SageMaker's model of the live version: the container with ``settings``, cut off from any network.

    Isolation costs nothing here: SageMaker itself fetches image and files, and the container asks nobody.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        container: GpuContainer,
        live: LiveVersion,
        settings: EndpointSettings,
        files: str,
    ) -> None:
        """``files`` is the S3 address of all versions, with a slash at its end."""
        super().__init__(scope, construct_id)
        self.resource = sagemaker.CfnModel(
            self,
            "Resource",
            execution_role_arn=container.role.role_arn,
            enable_network_isolation=True,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=container.image.image_uri,
                environment=settings.to_env(),
                model_data_source=sagemaker.CfnModel.ModelDataSourceProperty(
                    s3_data_source=sagemaker.CfnModel.S3DataSourceProperty(
                        s3_uri=f"{files}{live.version}/", s3_data_type="S3Prefix", compression_type="None"
                    )
                ),
            ),
        )
        self.resource.node.add_dependency(container.role)  # its policies: SageMaker tries them when it makes the model
        self.name = self.resource.attr_model_name

    @property
    def definition(self) -> Sequence[object]:
        """All of it but its name."""
        return [self.resource.primary_container, self.resource.execution_role_arn]
