"""SageMaker as far as hosting goes, in memory, behind a real client: botocore checks every call against the API.

moto has no inference components. What an update does is decided by the test: it is under way until ``finish``.
"""

import itertools
import json
from typing import Any

from botocore import xform_name

_ARN = "arn:aws:sagemaker:eu-central-1:123456789012"
Json = dict[str, Any]
_UNDER_WAY = ("Creating", "Updating")


class Refused(Exception):
    """What SageMaker answers with a ValidationException."""


class FakeSageMaker:
    """``calls`` are the names of the operations that change something, in their order."""

    def __init__(self, client: Any) -> None:
        self.models: dict[str, Json] = {}
        self.configs: dict[str, Json] = {}
        self.components: dict[str, Json] = {}
        self.endpoints: dict[str, Json] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.calls: list[str] = []
        self._clock = itertools.count()
        client.meta.events.register_first("before-call.sagemaker", self._answer)

    def finish(self, *, taken_back: bool = False, status: str = "InService") -> None:
        """End every update that is under way: with what it was to serve, or with what served before."""
        for kept, served in ((self.components, "model"), (self.endpoints, "EndpointConfigName")):
            for target in kept.values():
                if target["status"] in _UNDER_WAY:
                    target["status"] = status
                    wanted = target.pop("wanted", target[served])
                    target[served] = target[served] if taken_back else wanted

    def _answer(self, model: Any, params: Any, **_: Any) -> tuple[Any, Json]:
        if not model.name.startswith(("Describe", "List")):
            self.calls.append(model.name)
        try:
            answer = getattr(self, xform_name(model.name))(json.loads(params["body"])) or {}
        except Refused as refused:
            return _Response(400), {"Error": {"Code": "ValidationException", "Message": str(refused)}}
        return _Response(200), {**answer, "ResponseMetadata": {}}

    # --- models

    def create_model(self, given: Json) -> None:
        self._create(self.models, given["ModelName"], given)

    def describe_model(self, given: Json) -> Json:
        return self._found(self.models, given["ModelName"])

    def delete_model(self, given: Json) -> None:
        del self.models[given["ModelName"]]

    def list_models(self, given: Json) -> Json:
        return {"Models": self._listed(self.models, given["NameContains"])}

    # --- the component

    def describe_inference_component(self, given: Json) -> Json:
        name = given["InferenceComponentName"]
        found = self.components[name]
        return {
            "InferenceComponentArn": f"{_ARN}:inference-component/{name}",
            "InferenceComponentStatus": found["status"],
            "Specification": {**found["specification"], "ModelName": found["model"]},
        }

    def update_inference_component(self, given: Json) -> None:
        found = self.components[given.pop("InferenceComponentName")]
        self._begin(found)
        model = self._found(self.models, given["Specification"].pop("ModelName"))
        found.update(status="Updating", wanted=model["ModelName"], given=given)

    # --- the asynchronous endpoint

    def describe_endpoint(self, given: Json) -> Json:
        name = given["EndpointName"]
        found = self.endpoints[name]
        return {
            "EndpointArn": f"{_ARN}:endpoint/{name}",
            "EndpointStatus": found["status"],
            "EndpointConfigName": found["EndpointConfigName"],
        }

    def update_endpoint(self, given: Json) -> None:
        found = self.endpoints[given.pop("EndpointName")]
        self._begin(found)
        config = self._found(self.configs, given.pop("EndpointConfigName"))
        found.update(status="Updating", wanted=config["EndpointConfigName"], given=given)

    def create_endpoint_config(self, given: Json) -> None:
        self._create(self.configs, given["EndpointConfigName"], given)

    def describe_endpoint_config(self, given: Json) -> Json:
        return self._found(self.configs, given["EndpointConfigName"])

    def delete_endpoint_config(self, given: Json) -> None:
        del self.configs[given["EndpointConfigName"]]

    def list_endpoint_configs(self, given: Json) -> Json:
        return {"EndpointConfigs": self._listed(self.configs, given["NameContains"])}

    # --- tags

    def list_tags(self, given: Json) -> Json:
        tags = self.tags.get(given["ResourceArn"], {})
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def add_tags(self, given: Json) -> None:
        self.tags.setdefault(given["ResourceArn"], {}).update({tag["Key"]: tag["Value"] for tag in given["Tags"]})

    # --- what they have in common

    def _create(self, kept: dict[str, Json], name: str, given: Json) -> None:
        if name in kept:
            raise Refused(f"Cannot create already existing {name}")
        kept[name] = {**given, "at": next(self._clock)}

    def _found(self, kept: dict[str, Json], name: str) -> Json:
        if name not in kept:
            raise Refused(f"Could not find {name}")
        return kept[name]

    def _listed(self, kept: dict[str, Json], contained: str) -> list[Json]:
        return sorted((item for name, item in kept.items() if contained in name), key=lambda item: -item["at"])

    def _begin(self, target: Json) -> None:
        if target["status"] in _UNDER_WAY:
            raise Refused("Cannot update what is being updated")


class _Response:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code
        self.headers: dict[str, str] = {}
