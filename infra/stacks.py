"""The stacks: what is deployed together, what outlives what, and who may touch what.

    slipway-<stage>-store             stateful: the models of every classifier of the stage
    slipway-<stage>-data              stateful: what is uploaded to be scored, and the results
    slipway-<stage>-<model>-api       stateless: replaced at will; one for each classifier
    slipway-<stage>-<model>-batch     stateless: the workflow that scores files
    slipway-<stage>-<model>-bake      stateless: what lets canaries grow (infra/bake_stack.py)
    slipway-<stage>-<model>-spark     stateless: the Spark application, if it is asked for
    slipway-<stage>-<model>-drift     stateless: compares the API's texts with the model's baseline (infra/drift.py)
    slipway-<stage>-<model>-gpu       stateless: the endpoints with a GPU, if there are any (infra/gpu_stack.py)

CloudFormation refuses to delete the first two while the others use them.
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.acknowledgments import acknowledge_alarm_topic, acknowledge_batch, acknowledge_predict_api
from infra.alarm_topic import AlarmTopic, topic_of
from infra.bake_stack import BakeStack
from infra.batch import Batch, workflow_arn
from infra.batch_gpu_acknowledgments import acknowledge_batch_gpu
from infra.bucket_events import tell_eventbridge
from infra.code_release import CodeRelease
from infra.dashboard import Dashboard
from infra.data_bucket import DataBucket
from infra.drift import DriftStack
from infra.encryption import encrypt, stage_key
from infra.gpu_names import api_stack_name, component_name, endpoint_name, grant_invoke
from infra.gpu_stack import GpuStack
from infra.model_store import ModelStore
from infra.nist_acknowledgments import acknowledge_nist
from infra.objectives import Objectives
from infra.predict_api import PredictApi
from infra.runbook import finish_alarms
from infra.serving_alarms import ServingAlarms
from infra.settings import Deployment
from infra.signing_key import SigningKey
from infra.spark_stack import SparkStack
from slipway.settings import Settings


class StoreStack(cdk.Stack):
    """Holds ``store``, the part of a stage that is worth keeping, and the stage's ``key``, or None."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, f"slipway-{deployment.stage}-store", termination_protection=deployment.retain)
        self.key = stage_key(self, deployment=deployment)
        self.store = ModelStore(self, "ModelStore", retain=deployment.retain, key=self.key)
        # Always: the stage's models share it, and one without a GPU must not turn it off for one that has.
        tell_eventbridge(self.store.bucket)
        cdk.CfnOutput(self, "ModelBucket", value=self.store.bucket.bucket_name)
        if deployment.signing_key:
            self.signing = SigningKey(self, "Signing", stage=deployment.stage, retain=deployment.retain)
            cdk.CfnOutput(self, "SigningKey", value=self.signing.key.key_arn)


class DataStack(cdk.Stack):
    """Holds ``data``, the files of a stage."""

    def __init__(self, scope: Construct, *, deployment: Deployment, key: kms.IKey | None = None) -> None:
        super().__init__(scope, f"slipway-{deployment.stage}-data", termination_protection=deployment.retain)
        self.data = DataBucket(self, "Data", retain=deployment.retain, key=key)
        cdk.CfnOutput(self, "DataBucket", value=self.data.bucket.bucket_name)


class ApiStack(cdk.Stack):
    """Holds ``predict``, the API of one model in ``store``, which also hands out uploads to ``data``."""

    def __init__(self, scope: Construct, *, deployment: Deployment, store: ModelStore, data: DataBucket) -> None:
        super().__init__(scope, api_stack_name(deployment))
        settings = Settings(
            model=deployment.model,
            models=deployment.models,
            model_bucket=store.bucket.bucket_name,
            data_bucket=data.bucket.bucket_name,
            max_request_tokens=deployment.max_request_tokens,
            trusted_keys=deployment.trusted_keys,
            **_gpu_settings(deployment),
        )
        self.predict = PredictApi(self, "Predict", settings=settings, deployment=deployment)
        for model in settings.model_names():
            store.grant_read_model(self.predict.serving.role, model=model)
            store.grant_write_bakes(self.predict.serving.role, model=model)
        data.grant_write(self.predict.serving.role, f"inbox/{deployment.model}/")
        data.grant_read(self.predict.serving.role, f"jobs/{deployment.model}/")
        if deployment.has_gpu:
            grant_invoke(self.predict.serving.role, self, deployment=deployment)
        if deployment.code_canary and not deployment.local:  # the local cloud has no CodeDeploy
            CodeRelease(self, "CodeRelease", predict=self.predict, deployment=deployment)
        self._observe(deployment)
        acknowledge_predict_api(self.predict, stage=deployment.stage, models=settings.model_names())
        cdk.CfnOutput(self, "ApiUrl", value=self.predict.url)
        if self.predict.api_key:
            cdk.CfnOutput(self, "ApiKeyId", value=self.predict.api_key.key_id)
        if deployment.auth == "iam":
            cdk.CfnOutput(self, "InvokeArn", value=self.predict.api.arn_for_execute_api(stage=deployment.stage))
        if self.predict.api.domain_name:
            cdk.CfnOutput(self, "DomainAlias", value=self.predict.api.domain_name.domain_name_alias_domain_name)
        cdk.CfnOutput(self, "Model", value=deployment.model)

    def _observe(self, deployment: Deployment) -> None:
        """The local cloud has neither metrics from log lines nor composite alarms: nothing would ever be seen."""
        if deployment.local:
            return
        function, name = self.predict.serving.function, api_stack_name(deployment)
        serving = ServingAlarms(self, "Serving", serving=self.predict.serving, deployment=deployment)
        objectives = Objectives(self, "Objectives", api_name=name, stage=deployment.stage, slow_ms=deployment.slow_ms)
        if deployment.alarm_email:
            acknowledge_alarm_topic(AlarmTopic(self, "Alarms", deployment=deployment))
        self.dashboard = Dashboard(
            self,
            "Dashboard",
            api_name=name,
            function=function,
            workflow_arn=workflow_arn(self, deployment),
            alarms=[*objectives.alarms, *serving.alarms],
            deployment=deployment,
        )


def _gpu_settings(deployment: Deployment) -> dict[str, Any]:
    thresholds = {"gpu_enter_rps": deployment.gpu_enter_rps, "gpu_leave_rps": deployment.gpu_leave_rps}
    if deployment.has_gpu:
        return {"gpu_endpoint": endpoint_name(deployment), "gpu_component": component_name(deployment), **thresholds}
    return {"gpu_endpoint": "local", **thresholds} if deployment.gpu_local else {}


class BatchStack(cdk.Stack):
    """Holds ``batch``, which scores the files in ``data`` with one model in ``store``."""

    def __init__(self, scope: Construct, *, deployment: Deployment, store: ModelStore, data: DataBucket) -> None:
        super().__init__(scope, f"slipway-{deployment.stage}-{deployment.model}-batch")
        self.batch = Batch(self, "Batch", deployment=deployment, store=store, data=data)
        acknowledge_batch(self.batch, stage=deployment.stage, model=deployment.model)
        acknowledge_batch_gpu(self.batch, stage=deployment.stage, model=deployment.model)
        cdk.CfnOutput(self, "Workflow", value=self.batch.workflow.state_machine_arn)


def add_stacks(app: cdk.App, *, deployment: Deployment) -> tuple[cdk.Stack, ...]:
    """All stacks of one deployment, with its arguments as their tags."""
    store = StoreStack(app, deployment=deployment)
    data = DataStack(app, deployment=deployment, key=store.key)
    api = ApiStack(app, deployment=deployment, store=store.store, data=data.data)
    batch = BatchStack(app, deployment=deployment, store=store.store, data=data.data)
    bake = BakeStack(app, deployment=deployment, store=store.store)
    drift = DriftStack(app, deployment=deployment, store=store.store, read=api.predict.serving.logs)
    of_model: list[cdk.Stack] = [api, batch, bake, drift]
    if deployment.spark_max_vcpus and not deployment.local:
        vcpus = deployment.spark_max_vcpus
        of_model.append(SparkStack(app, deployment=deployment, store=store.store, data=data.data, max_vcpus=vcpus))
    if deployment.has_gpu:
        of_model.append(GpuStack(app, deployment=deployment, store=store.store, data=data.data))
    for stack in of_model:
        finish_alarms(stack, runbook_url=deployment.runbook_url, topic=topic_of(stack, deployment))
    cdk.Tags.of(app).add("slipway:stage", deployment.stage)
    for stack in of_model:
        cdk.Tags.of(stack).add("slipway:model", deployment.model)
    stacks = (store, data, *of_model)
    if store.key:
        encrypt(stacks, key=store.key)
    for stack in stacks:
        acknowledge_nist(stack, deployment=deployment)
    return stacks
