"""The names of what runs on a GPU, and who may call it.

They are fixed, so that the API can name the endpoint without importing it from the other stack: CloudFormation would
keep that stack for as long as it is imported, and a GPU could not be turned off.
"""

import hashlib

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.settings import Deployment

# With "-", a version (29), "-" and seven more, a name of 63 characters: SageMaker takes no longer ones.
_LONGEST = 25


def gpu_prefix(deployment: Deployment) -> str:
    """What every name begins with. A long one is cut, and stays another than the next long one by its digest."""
    name = f"slipway-{deployment.stage}-{deployment.model}"
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def api_stack_name(deployment: Deployment) -> str:
    """The stack of the API, and the API itself: CloudWatch counts its requests by this name."""
    return f"slipway-{deployment.stage}-{deployment.model}-api"


def endpoint_name(deployment: Deployment) -> str:
    """The real-time endpoint."""
    return f"{gpu_prefix(deployment)}-gpu"


def component_name(deployment: Deployment) -> str:
    """The inference component on it: a call names both."""
    return f"{gpu_prefix(deployment)}-gpu-model"


def async_endpoint_name(deployment: Deployment) -> str:
    """The asynchronous endpoint."""
    return f"{gpu_prefix(deployment)}-gpu-async"


def hosting_arn(scope: Construct, kind: str, name: str) -> str:
    """The ARN of a resource of SageMaker, which its service writes in lower case."""
    return cdk.Stack.of(scope).format_arn(service="sagemaker", resource=kind, resource_name=name)


def grant_invoke(grantee: iam.IGrantable, scope: Construct, *, deployment: Deployment) -> iam.Grant:
    """Let ``grantee`` ask the real-time endpoint, and through it this model alone."""
    arns = [
        hosting_arn(scope, "endpoint", endpoint_name(deployment)),
        hosting_arn(scope, "inference-component", component_name(deployment)),
    ]
    return iam.Grant.add_to_principal(grantee=grantee, actions=["sagemaker:InvokeEndpoint"], resource_arns=arns)
