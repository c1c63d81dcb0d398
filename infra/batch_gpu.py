"""The way of large batch jobs: the asynchronous endpoint is asked for each shard, and whatever goes wrong, functions
score it.

A step of the workflow waits for its token, which costs nothing, while the endpoint wakes up and works.
"""

from collections.abc import Callable

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.batch_function import LONGEST, BatchFunction
from infra.data_bucket import DataBucket
from infra.gpu_names import async_endpoint_name, hosting_arn
from infra.settings import Deployment
from slipway.settings.batch import BatchSettings

_MEMORY_MB = 1_769  # a shard's rows and their answers, and one vCPU to read and write them
_COLLECTING = cdk.Duration.minutes(3)  # a shard takes seconds; six times that later it comes again, in the step's hour
_BUSY = ("TooManyRequests", "Service", "AWSLambda", "SdkClient", "ClientExecutionTimeout")


class BatchGpu(Construct):
    """The functions ``ask`` and ``collect``, and how they become steps of the workflow."""

    def __init__(self, scope: Construct, construct_id: str, *, deployment: Deployment, settings: BatchSettings) -> None:
        super().__init__(scope, construct_id)
        self._deployment = deployment
        self._settings = settings
        self.ask, self.collect = self._function("ask", LONGEST), self._function("collect", _COLLECTING)
        if deployment.gpu_local:
            self.ask.function.add_environment("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", deployment.gpu_local)

    def _function(self, verb: str, timeout: cdk.Duration) -> BatchFunction:
        return BatchFunction(
            self,
            verb.title(),
            verb=verb,
            settings=self._settings,
            deployment=self._deployment,
            memory_mb=_MEMORY_MB,
            timeout=timeout,
        )

    def before(self, score: tasks.LambdaInvoke, done: sfn.Choice) -> sfn.IChainable:
        """What a shard begins with: the endpoint is asked if the job is large, else, or in vain, ``score`` runs."""
        ask = tasks.LambdaInvoke(
            self,
            "Ask the endpoint",
            lambda_function=self.ask.function,
            integration_pattern=sfn.IntegrationPattern.WAIT_FOR_TASK_TOKEN,
            payload=sfn.TaskInput.from_object(
                {
                    "folder": sfn.JsonPath.string_at("$.folder"),
                    "shard": sfn.JsonPath.object_at("$.shard"),
                    "token": sfn.JsonPath.task_token,
                }
            ),
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(cdk.Duration.seconds(self._settings.gpu_wait_seconds)),
        )
        ask.add_retry(
            errors=[f"Lambda.{name}Exception" for name in _BUSY],  # the call itself, not what it waits for
            interval=cdk.Duration.seconds(2),
            backoff_rate=2,
            max_attempts=6,
            jitter_strategy=sfn.JitterType.FULL,
        )
        ask.add_catch(score, errors=["States.ALL"], result_path="$.unanswered")
        large = sfn.Choice(self, "Is the job large?")
        large.when(sfn.Condition.number_greater_than_equals("$.rows", self._deployment.gpu_batch_texts), ask)
        large.otherwise(score)
        ask.next(done)
        return large

    def grant(self, data: DataBucket, workflow: sfn.StateMachine) -> None:
        """Let both functions do what they do, and nothing else."""
        model = self._deployment.model
        folder, parts = f"async/{model}", (f"jobs/{model}/", f"outbox/{model}/")
        for step in (self.ask, self.collect):
            # Either may be the one that settles an answer.
            data.grant_read(step.role, f"inbox/{model}/", f"jobs/{model}/", f"{folder}/out/", f"{folder}/failed/")
            data.grant_write(step.role, *parts)
        data.grant_write(self.ask.role, f"{folder}/in/")
        iam.Grant.add_to_principal(
            grantee=self.ask.role,
            actions=["sagemaker:InvokeEndpointAsync"],
            resource_arns=[hosting_arn(self, "endpoint", async_endpoint_name(self._deployment))],
        )
        # Not in the roles' own policies: ``ask`` would wait for them, they for the workflow, and that for ``ask``.
        iam.Policy(
            self,
            "LetGoOn",
            roles=[self.ask.role, self.collect.role],
            statements=[
                iam.PolicyStatement(actions=["states:SendTaskSuccess"], resources=[workflow.state_machine_arn])
            ],
        )

    def collect_answers(self, data: DataBucket, target: Callable[[BatchFunction], events.IRuleTarget]) -> events.Rule:
        """Tell ``collect`` of every answer, and of every reason for none."""
        folder = f"async/{self._deployment.model}"
        return events.Rule(
            self,
            "OnAnswer",
            description=f"Collect what the asynchronous endpoint of {self._deployment.model} has answered",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [data.bucket.bucket_name]},
                    "object": {"key": [{"prefix": f"{folder}/out/"}, {"prefix": f"{folder}/failed/"}]},
                },
            ),
            targets=[target(self.collect)],
        )
