"""The stacks: what is deployed together, what outlives what, and who may touch what.

    slipway-<stage>-store           stateful: the models of every classifier of the stage
    slipway-<stage>-<model>-api     stateless: replaced at will; one for each classifier

CloudFormation refuses to delete the first while the second uses it.
"""

import aws_cdk as cdk
from constructs import Construct

from infra.acknowledgments import acknowledge_predict_api
from infra.model_store import ModelStore
from infra.predict_api import PredictApi
from infra.settings import Deployment
from slipway.settings import Settings


class StoreStack(cdk.Stack):
    """Holds ``store``, the part of a stage that is worth keeping."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, f"slipway-{deployment.stage}-store", termination_protection=deployment.retain)
        self.store = ModelStore(self, "ModelStore", retain=deployment.retain)
        cdk.CfnOutput(self, "ModelBucket", value=self.store.bucket.bucket_name)


class ApiStack(cdk.Stack):
    """Holds ``predict``, the API of one model in ``store``."""

    def __init__(self, scope: Construct, *, deployment: Deployment, store: ModelStore) -> None:
        super().__init__(scope, f"slipway-{deployment.stage}-{deployment.model}-api")
        settings = Settings(model=deployment.model, models=deployment.models, model_bucket=store.bucket.bucket_name)
        self.predict = PredictApi(self, "Predict", settings=settings, deployment=deployment)
        for model in settings.model_names():
            store.grant_read_model(self.predict.serving.role, model=model)
        acknowledge_predict_api(self.predict, stage=deployment.stage, models=settings.model_names())
        cdk.CfnOutput(self, "ApiUrl", value=self.predict.url)
        cdk.CfnOutput(self, "ApiKeyId", value=self.predict.api_key.key_id)
        cdk.CfnOutput(self, "Model", value=deployment.model)


def add_stacks(app: cdk.App, *, deployment: Deployment) -> tuple[StoreStack, ApiStack]:
    """Both stacks of one deployment, with its arguments as their tags."""
    store = StoreStack(app, deployment=deployment)
    api = ApiStack(app, deployment=deployment, store=store.store)
    cdk.Tags.of(app).add("slipway:stage", deployment.stage)
    cdk.Tags.of(api).add("slipway:model", deployment.model)
    return store, api
