"""The stack of the GPU endpoints of one model: what they are made of, and who may touch what (docs/gpu.md).

Stateless: what is live is the store's to say. It is in nobody's way: no other stack imports anything from it.
"""

from dataclasses import replace

import aws_cdk as cdk
from constructs import Construct

from infra.data_bucket import DataBucket
from infra.gpu_acknowledgments import acknowledge_gpu
from infra.gpu_async import GpuAsync, async_settings
from infra.gpu_endpoint import GpuEndpoint
from infra.gpu_model import GpuContainer, GpuModel, LiveVersion
from infra.gpu_names import api_stack_name, gpu_prefix
from infra.gpu_pulse import GpuPulse
from infra.gpu_release import GpuRelease
from infra.model_store import ModelStore
from infra.settings import Deployment
from infra.zip_function import ZipFunction, release_code
from slipway.settings.endpoint import EndpointSettings
from slipway.settings.release import ReleaseSettings, RollSettings


class GpuStack(cdk.Stack):
    """``endpoint``; ``asynchronous``, the other endpoint, or None; ``release``, which follows promotions; ``pulse``."""

    def __init__(self, scope: Construct, *, deployment: Deployment, store: ModelStore, data: DataBucket) -> None:
        super().__init__(scope, f"slipway-{deployment.stage}-{deployment.model}-gpu")
        self._deployment = deployment
        self._store = store
        self.container = GpuContainer(self, "Container")
        store.grant_read_model(self.container.role, model=deployment.model)
        self.deployed = self._deployed()
        self.live = LiveVersion(self, "Live", asked=self.deployed.function)
        self.model = self._model("Model", EndpointSettings(device="gpu", trusted_keys=deployment.trusted_keys))
        self.endpoint = GpuEndpoint(self, "Endpoint", deployment=deployment, container=self.container, model=self.model)
        self.asynchronous = self._asynchronous(data) if deployment.gpu_async else None
        self._ask_for_the_version()
        self.release = GpuRelease(
            self,
            "Release",
            settings=self._roll_settings(),
            deployment=deployment,
            store=store,
            execution=self.container.role,
        )
        self.endpoint.guard.grant_describe(self.release.roll.role)
        if self.asynchronous:
            self.asynchronous.guard.grant_describe(self.release.roll.role)
        self.pulse = GpuPulse(self, "Traffic", deployment=deployment, store=store, api_name=api_stack_name(deployment))
        acknowledge_gpu(self, deployment=deployment)
        self._outputs()

    def _deployed(self) -> ZipFunction:
        settings = ReleaseSettings(
            model=self._deployment.model,
            model_bucket=self._store.bucket.bucket_name,
            trusted_keys=self._deployment.trusted_keys,
        )
        made = ZipFunction(
            self,
            "Deployed",
            code=release_code("deployed"),
            settings=settings,
            deployment=self._deployment,
            description=f"Tells a deployment which version of the model {self._deployment.model} is live",
        )
        self._store.grant_read_model(made.role, model=self._deployment.model)
        return made

    def _model(self, construct_id: str, settings: EndpointSettings) -> GpuModel:
        files = self._store.bucket.s3_url_for_object(f"models/{self._deployment.model}/")
        return GpuModel(self, construct_id, container=self.container, live=self.live, settings=settings, files=files)

    def _asynchronous(self, data: DataBucket) -> GpuAsync:
        self.async_model = self._model(
            "AsyncModel", replace(async_settings(), trusted_keys=self._deployment.trusted_keys)
        )
        return GpuAsync(
            self,
            "Async",
            deployment=self._deployment,
            container=self.container,
            model=self.async_model,
            data=data,
        )

    def _ask_for_the_version(self) -> None:
        """Once everything that a deployment makes of the answer is there."""
        prefix = gpu_prefix(self._deployment)
        definitions = [self.model.definition, self.endpoint.definition]
        if self.asynchronous:
            definitions += [self.async_model.definition, self.asynchronous.definition]
        self.live.ask_again_if_changed(*definitions)
        self.live.named(prefix, self.model.resource, property_name="ModelName")
        if self.asynchronous:
            self.live.named(prefix, self.async_model.resource, property_name="ModelName")
            self.live.named(prefix, self.asynchronous.config, property_name="EndpointConfigName")

    def _roll_settings(self) -> RollSettings:
        made: dict[str, str] = {}
        if self.asynchronous:
            made = {
                "gpu_async_endpoint": self.asynchronous.name,
                "gpu_async_model": self.async_model.name,
                "gpu_async_config": self.asynchronous.config.attr_endpoint_config_name,
                "gpu_async_rolling": self.to_json_string(self.asynchronous.guard.all_at_once()),
            }
        return RollSettings(
            model=self._deployment.model,
            model_bucket=self._store.bucket.bucket_name,
            trusted_keys=self._deployment.trusted_keys,
            gpu_prefix=gpu_prefix(self._deployment),
            gpu_component=self.endpoint.name,
            gpu_model=self.model.name,
            gpu_rolling=self.to_json_string(self.endpoint.guard.rolling()),
            **made,
        )

    def _outputs(self) -> None:
        cdk.CfnOutput(self, "GpuEndpoint", value=self.endpoint.endpoint.attr_endpoint_name)
        cdk.CfnOutput(self, "GpuComponent", value=self.endpoint.name)
        if self.asynchronous:
            cdk.CfnOutput(self, "AsyncEndpoint", value=self.asynchronous.endpoint.attr_endpoint_name)
