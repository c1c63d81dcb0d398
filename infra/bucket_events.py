"""A bucket that tells EventBridge of every object."""

from aws_cdk import aws_s3 as s3


def tell_eventbridge(bucket: s3.Bucket) -> None:
    """By a property of the bucket: CDK's own switch is a custom resource with a function of its own."""
    resource = bucket.node.default_child
    assert isinstance(resource, s3.CfnBucket)  # noqa: S101  it is what Bucket is made of
    resource.add_property_override("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True)
