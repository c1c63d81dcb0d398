"""SageMaker's models: an image, a role and the place of a version's files."""

from collections.abc import Collection

from slipway.hosting.calls import names_with, refusals, sagemaker
from slipway.hosting.names import is_rolled, rolled_name, version_in

_CONTAINER = ("Image", "Environment")


class Models:
    """The models of one deployment, whose names begin with ``prefix``. Every method raises StoreError."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def make(self, version: str, uri: str, *, like: str) -> str:
        """The name of the model of the artifact in ``uri``, which is made as ``like`` if there is none yet."""
        with refusals(f"making a model of {version}"):
            found = sagemaker().describe_model(ModelName=like)
            container = {key: found["PrimaryContainer"][key] for key in _CONTAINER if key in found["PrimaryContainer"]}
            options = {"ExecutionRoleArn": found["ExecutionRoleArn"], "EnableNetworkIsolation": True}
            name = rolled_name(self.prefix, version, [container, options])
            if name not in self._names():
                files = {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}}
                sagemaker().create_model(
                    ModelName=name, PrimaryContainer={**container, "ModelDataSource": files}, **options
                )
        return name

    def forget(self, served: Collection[str]) -> list[str]:
        """Delete what rolls made and nothing serves, but for the newest version: a rollback finds it.

        Returns the names of what is gone.
        """
        with refusals("deleting old models"):
            unserved = [name for name in self._names() if is_rolled(self.prefix, name) and name not in served]
            gone = [name for name in unserved if version_in(name) != version_in(unserved[0])]
            for name in gone:
                sagemaker().delete_model(ModelName=name)
        return gone

    def _names(self) -> list[str]:
        return names_with(self.prefix, call="list_models", field="Models", name="ModelName")
