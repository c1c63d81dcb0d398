"""What serves a model: the inference component of the real-time endpoint, and the asynchronous endpoint.

Both are updated in place, by SageMaker, under alarms that take an update back. While an update is tried, either keeps
a mark of the promotion: who finds the mark, and the former version serving, knows that it was taken back.
"""

import json
from dataclasses import dataclass

from slipway.hosting.calls import leave_mark, names_with, read_mark, refusals, sagemaker
from slipway.hosting.names import is_rolled, rolled_name, version_in

_KEPT = ("StartupParameters", "ComputeResourceRequirements", "SchedulingConfig")
_CONFIG = ("ProductionVariants", "AsyncInferenceConfig", "ExecutionRoleArn", "EnableNetworkIsolation")
# Every other status turns into one of these by itself.
_SETTLED = ("InService", "Failed", "OutOfService", "UpdateRollbackFailed")


@dataclass(frozen=True, kw_only=True)
class Serving:
    """``model`` is the name of SageMaker's model, ``tried`` the mark of an update that was not seen to succeed."""

    arn: str
    model: str
    status: str
    tried: str

    @property
    def settled(self) -> bool:
        """Whether nothing is under way."""
        return self.status in _SETTLED

    def serves(self, version: str) -> bool:
        """Whether ``version`` answers, in whichever image."""
        return self.status == "InService" and version_in(self.model) == version.lower()

    def unmark(self) -> None:
        """The update has succeeded: what may serve instead from now on was not chosen by an alarm."""
        if self.tried:
            with refusals(f"tagging {self.arn}"):
                leave_mark(self.arn, "")


class Component:
    """An inference component. Every method raises StoreError.

    ``like`` is the model that those of other versions are made as, ``rolling`` its DeploymentConfig in JSON.
    """

    def __init__(self, name: str, *, like: str, rolling: str) -> None:
        self.name = name
        self.like = like
        self._rolling = json.loads(rolling)

    def serving(self) -> Serving:
        """What answers now."""
        with refusals(f"describing {self.name}"):
            found = sagemaker().describe_inference_component(InferenceComponentName=self.name)
            tried = read_mark(found["InferenceComponentArn"])
        model = found["Specification"]["ModelName"]
        arn, status = found["InferenceComponentArn"], found["InferenceComponentStatus"]
        return Serving(arn=arn, model=model, status=status, tried=tried)

    def update(self, model: str, mark: str) -> None:
        """Begin to replace its copies by copies of ``model``; how many there are is left to the scaling.

        The mark comes after the update has begun: one that SageMaker refused is tried again.
        """
        with refusals(f"updating {self.name}"):
            found = sagemaker().describe_inference_component(InferenceComponentName=self.name)
            # An update states the specification as a whole.
            kept = {key: found["Specification"][key] for key in _KEPT if key in found["Specification"]}
            sagemaker().update_inference_component(
                InferenceComponentName=self.name,
                Specification={**kept, "ModelName": model},
                DeploymentConfig=self._rolling,
            )
            leave_mark(found["InferenceComponentArn"], mark)

    def forget(self) -> list[str]:
        """Nothing is left behind by an update."""
        return []


class AsyncEndpoint:
    """An endpoint without components: each version needs a configuration, which is made as ``config``.

    ``like`` and ``rolling`` are as in ``Component``. Every method raises StoreError.
    """

    def __init__(self, name: str, *, prefix: str, like: str, config: str, rolling: str) -> None:
        self.name = name
        self.like = like
        self._prefix = prefix
        self._example = config
        self._rolling = json.loads(rolling)

    def serving(self) -> Serving:
        """What answers now."""
        with refusals(f"describing {self.name}"):
            found = sagemaker().describe_endpoint(EndpointName=self.name)
            config = sagemaker().describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
            tried = read_mark(found["EndpointArn"])
        model = config["ProductionVariants"][0]["ModelName"]
        return Serving(arn=found["EndpointArn"], model=model, status=found["EndpointStatus"], tried=tried)

    def update(self, model: str, mark: str) -> None:
        """Begin to replace its instances by instances with ``model``; the mark is as in ``Component.update``."""
        with refusals(f"updating {self.name}"):
            arn = sagemaker().describe_endpoint(EndpointName=self.name)["EndpointArn"]
            sagemaker().update_endpoint(
                EndpointName=self.name, EndpointConfigName=self._config(model), DeploymentConfig=self._rolling
            )
            leave_mark(arn, mark)

    def forget(self) -> list[str]:
        """Delete the configurations that rolls made, but for the one in use and the newest other; their names."""
        with refusals("deleting old configurations"):
            used = sagemaker().describe_endpoint(EndpointName=self.name)["EndpointConfigName"]
            unused = [name for name in self._names() if is_rolled(self._prefix, name) and name != used]
            for name in unused[1:]:
                sagemaker().delete_endpoint_config(EndpointConfigName=name)
        return unused[1:]

    def _config(self, model: str) -> str:
        found = sagemaker().describe_endpoint_config(EndpointConfigName=self._example)
        config = {key: found[key] for key in _CONFIG if key in found}
        config["ProductionVariants"] = [{**variant, "ModelName": model} for variant in config["ProductionVariants"]]
        name = rolled_name(self._prefix, version_in(model), config)
        if name not in self._names():
            sagemaker().create_endpoint_config(EndpointConfigName=name, **config)
        return name

    def _names(self) -> list[str]:
        return names_with(
            self._prefix, call="list_endpoint_configs", field="EndpointConfigs", name="EndpointConfigName"
        )
