"""The same build as a SageMaker training job."""
