"""The asynchronous endpoint: requests in files, up to an hour each, on a GPU that is there while a file waits.

A caller puts a file under ``async/<model>/in/`` of the data bucket and names it in InvokeEndpointAsync; the answer
comes under ``out/``, or the error under ``failed/``, and EventBridge tells of either, as of every object there.
Not batch transform: its instances have only old drivers. Not a component: asynchronous endpoints take none.
"""

from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.data_bucket import DataBucket
from infra.gpu_endpoint import AMI, STARTING, VARIANT
from infra.gpu_guard import GpuGuard
from infra.gpu_model import GpuContainer, GpuModel
from infra.gpu_names import async_endpoint_name
from infra.gpu_scaling import Scaling, sleeping_metric
from infra.settings import Deployment
from slipway.settings.endpoint import EndpointSettings

# Of a file. SageMaker takes 1 GB: parsed and encoded, that is more than the 16 GB of an instance's memory.
MAX_BYTES = 200_000_000
_Config = sagemaker.CfnEndpointConfig


def async_settings() -> EndpointSettings:
    """A container whose requests are files."""
    return EndpointSettings(
        device="gpu",
        max_body_bytes=MAX_BYTES,
        max_instances=MAX_BYTES // 40,
        max_request_tokens=MAX_BYTES // 2,
        queue_tokens=MAX_BYTES // 2,
        request_seconds=3_500.0,
    )


class GpuAsync(Construct):
    """``endpoint``, whose ``name`` is fixed, with its ``config`` and ``scaling``; ``guard`` takes a bad update back."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployment: Deployment,
        container: GpuContainer,
        model: GpuModel,
        data: DataBucket,
    ) -> None:
        super().__init__(scope, construct_id)
        self._deployment = deployment
        self._folder = f"async/{deployment.model}"
        self.name = name = async_endpoint_name(deployment)
        dimensions = {"EndpointName": name, "VariantName": VARIANT}
        self.guard = GpuGuard(self, "Guard", dimensions=dimensions, what=name, slow=False)
        self.config = self._config(model, data)
        self.config.node.add_dependency(container.role)
        self.endpoint = sagemaker.CfnEndpoint(
            self, "Endpoint", endpoint_name=name, endpoint_config_name=self.config.attr_endpoint_config_name
        )
        self.endpoint.add_property_override("DeploymentConfig", self.guard.all_at_once())
        logs = container.logs_to("AsyncLogs", f"/aws/sagemaker/Endpoints/{name}", deployment=deployment)
        self.endpoint.node.add_dependency(logs)
        self.guard.grant_describe(container.role)
        data.grant_read(container.role, f"{self._folder}/in/")
        data.grant_write(container.role, f"{self._folder}/out/", f"{self._folder}/failed/")
        self.scaling = self._scaling(name)

    @property
    def definition(self) -> list[object]:
        """What of the endpoint a deployment may change."""
        return [self.config.production_variants, self.config.async_inference_config, self.guard.all_at_once()]

    def _config(self, model: GpuModel, data: DataBucket) -> sagemaker.CfnEndpointConfig:
        """Without a key for the volume, as in ``GpuEndpoint``; what it writes is encrypted as its bucket says."""
        variant = _Config.ProductionVariantProperty(
            variant_name=VARIANT,
            model_name=model.name,
            instance_type=self._deployment.gpu_instance,
            initial_instance_count=1,  # none is refused; its scaling takes it away
            inference_ami_version=AMI,
            container_startup_health_check_timeout_in_seconds=STARTING,
        )
        output = _Config.AsyncInferenceOutputConfigProperty(
            s3_output_path=data.bucket.s3_url_for_object(f"{self._folder}/out/"),
            s3_failure_path=data.bucket.s3_url_for_object(f"{self._folder}/failed/"),
        )
        return sagemaker.CfnEndpointConfig(
            self,
            "Config",
            production_variants=[variant],
            async_inference_config=_Config.AsyncInferenceConfigProperty(
                output_config=output,
                # A file is in memory while it is scored, and its batches fill the GPU alone.
                client_config=_Config.AsyncInferenceClientConfigProperty(max_concurrent_invocations_per_instance=1),
            ),
        )

    def _scaling(self, name: str) -> Scaling:
        made = Scaling(
            self,
            "Scaling",
            resource_id=f"endpoint/{self.endpoint.attr_endpoint_name}/variant/{VARIANT}",
            dimension="sagemaker:variant:DesiredInstanceCount",
            minimum=0,
            maximum=self._deployment.gpu_max_instances,
        )
        made.track_backlog(name)
        metric = sleeping_metric("HasBacklogWithoutCapacity", seconds=60, EndpointName=name)
        made.wake_on(metric, because=f"A file waits and {name} has no instance: one is started")
        return made
