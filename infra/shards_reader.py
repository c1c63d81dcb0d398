"""The reader of a job's list of shards, which may read the folder of such lists and not the whole bucket.

CDK's own reader asks for every object of the bucket that the list is in: the files of all models.
"""

from typing import Any

import jsii
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn


@jsii.implements(sfn.IItemReader)
class ShardsReader:
    """Reads the JSON Lines at ``key``; ``folder`` is where the lists of a model are."""

    def __init__(self, bucket: s3.IBucket, *, key: str, folder: str) -> None:
        self._reader = sfn.S3JsonLItemReader(bucket=bucket, key=key)
        self._objects = bucket.arn_for_objects(f"{folder}*")

    @property
    def bucket(self) -> s3.IBucket:
        """The bucket."""
        return self._reader.bucket

    @property
    def resource(self) -> str:
        """What Step Functions calls to read."""
        return self._reader.resource

    @property
    def bucket_name_path(self) -> str | None:
        """None: the bucket is known."""
        return None

    @property
    def max_items(self) -> float | None:
        """None: all of them."""
        return None

    def render(self, query_language: sfn.QueryLanguage | None = None) -> Any:
        """The definition, in the workflow's language."""
        return self._reader.render(query_language)

    def provide_policy_statements(self) -> list[iam.PolicyStatement]:
        """Only reading, and only the lists."""
        return [iam.PolicyStatement(actions=["s3:GetObject"], resources=[self._objects])]

    def validate_item_reader(self) -> list[str]:
        """What is wrong with it."""
        return self._reader.validate_item_reader()
