"""The options of ``slipway build`` that are about where it runs."""

from typing import Annotated, Literal

import typer

On = Annotated[
    Literal["here", "sagemaker"], typer.Option(help="Build on this machine, or as a SageMaker training job.")
]
Role = Annotated[
    str, typer.Option(envvar="SLIPWAY_TRAINING_ROLE", help="ARN of the role that SageMaker runs the job as.")
]
Image = Annotated[
    str, typer.Option(envvar="SLIPWAY_TRAINING_IMAGE", help="The image of model_build/training.Dockerfile in ECR.")
]
BuildBucket = Annotated[
    str, typer.Option(envvar="SLIPWAY_MODEL_BUCKET", help="The bucket for inputs and results, below builds/.")
]
InstanceType = Annotated[str, typer.Option(help="Its GPUs train together.")]
Spot = Annotated[bool, typer.Option("--spot", help="Spare capacity: cheaper; an interruption is gone on from.")]
Hours = Annotated[float, typer.Option(min=0.1, max=120, help="The job is stopped after so long.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the job and fetch the artifact.")]
