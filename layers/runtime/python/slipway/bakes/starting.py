"""What the command line starts: the workflow of a deployment, found by the bucket and the model."""

from slipway.bakes.plan import Bake
from slipway.errors import StoreError
from slipway.workflows import parameter, start_execution


def parameter_name(bucket: str, model: str) -> str:
    """Of the parameter that names the workflow; a deployment writes it."""
    return f"/slipway/{bucket}/{model}/bake"


def find_workflow(bucket: str, model: str) -> str:
    """The ARN of the workflow that bakes ``model``. Raises StoreError if it has none."""
    found = parameter(parameter_name(bucket, model))
    if found is None:
        raise StoreError(
            f"Nothing bakes {model!r} in {bucket}: its deployment has no stack that ends in -bake.",
            remedy="Deploy again (`cdk deploy --all`), or leave --bake out and watch the canary yourself.",
        )
    return found


def start(workflow: str, bake: Bake) -> str:
    """Start it; the execution's name. Raises StoreError."""
    name = f"{bake.version}-{bake.at.replace('-', '').replace(':', '').replace('.', '')}"
    start_execution(workflow, name, bake.to_dict())
    return name
