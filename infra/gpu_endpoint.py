"""The real-time endpoint with a GPU: an inference component on instances that SageMaker starts and stops.

A component and not a model in the endpoint's configuration: only components scale to zero. ``always-on`` is the same
with one copy at least, so that a stage goes from one to the other without a new endpoint.
"""

import math

from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.gpu_guard import GpuGuard
from infra.gpu_model import GpuContainer, GpuModel
from infra.gpu_names import component_name, endpoint_name
from infra.gpu_scaling import Scaling, sleeping_metric
from infra.settings import Deployment

# Driver 580 for CUDA 13, which onnxruntime-gpu 1.27 and later are built for. Without it g4dn, g5 and g6 get drivers
# 470 to 535 and the container cannot start: CannotStartContainerError, and not a line in a log.
AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
VARIANT = "AllTraffic"
STARTING = 600  # seconds until a container answers /ping: it checks and replays the model before
_Variant = sagemaker.CfnEndpointConfig.ProductionVariantProperty
_Component = sagemaker.CfnInferenceComponent


class GpuEndpoint(Construct):
    """``endpoint`` with its ``config``, the ``component`` on it, whose ``name`` is fixed, and its ``scaling``.

    ``guard`` takes a bad update of the component back.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, deployment: Deployment, container: GpuContainer, model: GpuModel
    ) -> None:
        super().__init__(scope, construct_id)
        self._deployment = deployment
        self.name, endpoint = component_name(deployment), endpoint_name(deployment)
        self.guard = GpuGuard(self, "Guard", dimensions={"InferenceComponentName": self.name}, what=self.name)
        self.config = self._config(container)
        self.endpoint = sagemaker.CfnEndpoint(
            self, "Endpoint", endpoint_name=endpoint, endpoint_config_name=self.config.attr_endpoint_config_name
        )
        self.component = self._component(model)
        for logs, name in (("EndpointLogs", f"Endpoints/{endpoint}"), ("Logs", f"InferenceComponents/{self.name}")):
            group = container.logs_to(logs, f"/aws/sagemaker/{name}", deployment=deployment)
            self.endpoint.node.add_dependency(group)
        self.guard.grant_describe(container.role)
        self.scaling = self._scaling()

    @property
    def definition(self) -> list[object]:
        """What of the component a deployment may change."""
        return [self.component.specification, self.component.runtime_config, self.guard.rolling()]

    def _config(self, container: GpuContainer) -> sagemaker.CfnEndpointConfig:
        """Instances without a model, hence the role here.

        No key for the volume: all these instances have local NVMe, encrypted by their own hardware, and SageMaker
        refuses a key for them.
        """
        most, least = self._deployment.gpu_max_instances, self._deployment.gpu_minimum
        variant = _Variant(
            variant_name=VARIANT,
            instance_type=self._deployment.gpu_instance,
            initial_instance_count=max(1, least),
            inference_ami_version=AMI,
            managed_instance_scaling=sagemaker.CfnEndpointConfig.ManagedInstanceScalingProperty(
                # Half as many more: an update starts new copies before it stops old ones.
                status="ENABLED",
                min_instance_count=least,
                max_instance_count=most + math.ceil(most / 2),
            ),
            routing_config=sagemaker.CfnEndpointConfig.RoutingConfigProperty(
                routing_strategy="LEAST_OUTSTANDING_REQUESTS"
            ),
        )
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            production_variants=[variant],
            execution_role_arn=container.role.role_arn,
            enable_network_isolation=True,
            metrics_config=sagemaker.CfnEndpointConfig.MetricsConfigProperty(enable_detailed_observability=True),
        )
        config.node.add_dependency(container.role)
        return config

    def _component(self, model: GpuModel) -> sagemaker.CfnInferenceComponent:
        component = _Component(
            self,
            "Component",
            endpoint_name=self.endpoint.attr_endpoint_name,
            inference_component_name=self.name,
            variant_name=VARIANT,
            specification=_Component.InferenceComponentSpecificationProperty(
                model_name=model.name,
                compute_resource_requirements=_Component.InferenceComponentComputeResourceRequirementsProperty(
                    number_of_accelerator_devices_required=1, min_memory_required_in_mb=1024
                ),
                startup_parameters=_Component.InferenceComponentStartupParametersProperty(
                    container_startup_health_check_timeout_in_seconds=STARTING
                ),
            ),
            # Zero is refused when it is made: it starts with one, and its scaling takes that away.
            runtime_config=_Component.InferenceComponentRuntimeConfigProperty(
                copy_count=max(1, self._deployment.gpu_minimum)
            ),
        )
        component.add_property_override("DeploymentConfig", self.guard.rolling())
        return component

    def _scaling(self) -> Scaling:
        made = Scaling(
            self,
            "Scaling",
            resource_id=f"inference-component/{self.name}",
            dimension="sagemaker:inference-component:DesiredCopyCount",
            minimum=self._deployment.gpu_minimum,
            maximum=self._deployment.gpu_max_instances,
        )
        made.node.add_dependency(self.component)  # what isn't there cannot be registered
        made.track_requests()
        if self._deployment.gpu_minimum == 0:
            metric = sleeping_metric("NoCapacityInvocationFailures", seconds=30, InferenceComponentName=self.name)
            made.wake_on(metric, because=f"{self.name} was asked while it had no copy: one is started")
        return made
