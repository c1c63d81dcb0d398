"""Batch scoring: an upload starts a workflow that cuts the file into shards, scores them side by side, and joins them.

The one engine is Step Functions' Distributed Map. A step that fails is tried again; a workflow that fails can be
redriven, and what is done is not done again.
"""

import hashlib

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.batch_alarms import batch_alarms
from infra.batch_function import LONGEST, MINUTE, BatchFunction
from infra.batch_gpu import BatchGpu
from infra.data_bucket import DataBucket
from infra.event_queue import EventQueue
from infra.gpu_names import async_endpoint_name
from infra.log_groups import log_group
from infra.model_store import ModelStore
from infra.packaging import runtime_layer
from infra.settings import Deployment
from infra.shards_reader import ShardsReader
from slipway.settings.batch import BatchSettings

_START_MB, _PLAN_MB, _FINISH_MB = 256, 2048, 1769
_DAY = cdk.Duration.hours(24)  # as long as EventBridge tries: the first version of a model may be promoted meanwhile
_NO_ROOM = ("TooManyRequests", "Service", "AWSLambda")  # nothing of ours ran: the account's concurrency is used up


class Batch(Construct):
    """``workflow``, its functions ``start``, ``plan``, ``score``, ``finish``, ``failed``; the ``alarms``.

    ``gpu`` is what large jobs are scored by, or None; ``undelivered`` keeps events that came to nothing.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, deployment: Deployment, store: ModelStore, data: DataBucket
    ) -> None:
        super().__init__(scope, construct_id)
        self._deployment = deployment
        self._settings = BatchSettings(
            model=deployment.model,
            model_bucket=store.bucket.bucket_name,
            data_bucket=data.bucket.bucket_name,
            trusted_keys=deployment.trusted_keys,
            gpu_async_endpoint=async_endpoint_name(deployment) if deployment.batches_on_gpu else "",
        )
        self.plan = self._function("Plan", "plan", _PLAN_MB)
        self.score = self._function("Score", "score", deployment.batch_memory_mb)
        self.finish = self._function("Finish", "finish", _FINISH_MB)
        self.failed = self._function("Failed", "failed", _FINISH_MB, timeout=MINUTE)
        self.gpu = self._gpu() if deployment.batches_on_gpu else None
        self.workflow = self._workflow(data)
        self.start = self._start()
        self._grant(store, data)
        self.undelivered = sqs.Queue(self, "Undelivered", enforce_ssl=True, retention_period=cdk.Duration.days(14))
        self._on_upload(data)
        self._on_failure()
        if self.gpu:
            self.gpu.grant(data, self.workflow)
            self.gpu.collect_answers(data, self._target)
        self.alarms = batch_alarms(self, workflow=self.workflow, undelivered=self.undelivered, deployment=deployment)

    def _function(
        self, construct_id: str, verb: str, memory_mb: int, *, timeout: cdk.Duration = LONGEST
    ) -> BatchFunction:
        return BatchFunction(
            self,
            construct_id,
            verb=verb,
            settings=self._settings,
            deployment=self._deployment,
            memory_mb=memory_mb,
            timeout=timeout,
        )

    def _gpu(self) -> BatchGpu:
        return BatchGpu(self, "Gpu", deployment=self._deployment, settings=self._settings)

    def _start(self) -> BatchFunction:
        made = BatchFunction(
            self,
            "Start",
            verb="start",
            settings=self._settings,
            deployment=self._deployment,
            memory_mb=_START_MB,
            timeout=MINUTE,
            layer=runtime_layer(self, "Runtime"),
        )
        made.function.add_environment("SLIPWAY_STATE_MACHINE", self.workflow.state_machine_arn)
        self.workflow.grant_start_execution(made.role)
        return made

    def _grant(self, store: ModelStore, data: DataBucket) -> None:
        model = self._deployment.model
        inbox, outbox, jobs = f"inbox/{model}/", f"outbox/{model}/", f"jobs/{model}/"
        for step in (self.start, self.score):
            store.grant_read_model(step.role, model=model)
        data.grant_read(self.start.role, inbox)
        data.grant_write(self.start.role, jobs)
        for step in (self.plan, self.score):
            data.grant_read(step.role, inbox, jobs)
            data.grant_write(step.role, jobs, outbox)
        for step in (self.finish, self.failed):
            data.grant_read(step.role, jobs, outbox)
            data.grant_write(step.role, jobs, outbox)
        bus = events.EventBus.from_event_bus_name(self, "Bus", "default")
        for step in (self.plan, self.finish, self.failed):
            bus.grant_put_events_to(step.role)

    # --- the workflow

    def _workflow(self, data: DataBucket) -> sfn.StateMachine:
        logs = log_group(self, "WorkflowLogs", deployment=self._deployment)
        return sfn.StateMachine(
            self,
            "Workflow",
            definition_body=sfn.DefinitionBody.from_chainable(self._steps(data)),
            state_machine_name=_workflow_name(self._deployment),
            comment=f"Scores a file with the model {self._deployment.model}",
            logs=sfn.LogOptions(destination=logs, level=sfn.LogLevel.ALL, include_execution_data=False),
            tracing_enabled=True,
            timeout=cdk.Duration.days(7),
        )

    def _steps(self, data: DataBucket) -> sfn.IChainable:
        refused = sfn.Fail(self, "Cannot be scored", error="BatchError", cause_path="$.reason")
        plan = self._step("Plan the shards", self.plan)
        finish = self._step("Join the results", self.finish)
        planned = sfn.Choice(self, "Is it planned?")
        planned.when(sfn.Condition.string_equals("$.state", "failed"), refused)
        planned.when(sfn.Condition.string_equals("$.state", "planning"), plan)
        planned.otherwise(self._shards(data).next(finish))
        return plan.next(planned)

    def _shards(self, data: DataBucket) -> sfn.DistributedMap:
        shards = sfn.DistributedMap(
            self,
            "Score the shards",
            item_reader=ShardsReader(
                data.bucket, key=sfn.JsonPath.string_at("$.shards"), folder=f"jobs/{self._deployment.model}/"
            ),
            item_selector={
                "folder": sfn.JsonPath.string_at("$.folder"),
                "shard": sfn.JsonPath.object_at("$$.Map.Item.Value"),
                **({"rows": sfn.JsonPath.number_at("$.rows")} if self.gpu else {}),
            },
            max_concurrency=self._deployment.batch_concurrency,
            result_path=sfn.JsonPath.DISCARD,
        )
        score = self._step("Score a shard", self.score)
        done = sfn.Choice(self, "Is it done?")
        done.when(sfn.Condition.boolean_equals("$.final", True), sfn.Succeed(self, "Done"))
        done.otherwise(score)
        score.next(done)
        shards.item_processor(
            self.gpu.before(score, done) if self.gpu else score,
            mode=sfn.ProcessorMode.DISTRIBUTED,
            execution_type=sfn.ProcessorType.STANDARD,  # express ones end after five minutes
        )
        return shards

    def _step(self, name: str, step: BatchFunction) -> tasks.LambdaInvoke:
        """Every step can be repeated: what it has written it does not write again."""
        task = tasks.LambdaInvoke(
            self,
            name,
            lambda_function=step.function,
            payload_response_only=True,
            retry_on_service_exceptions=False,
        )
        task.add_retry(  # for an hour and a half: a hundred shards at once, of minutes each, may have room for ten
            errors=[f"Lambda.{name}Exception" for name in _NO_ROOM],
            interval=cdk.Duration.seconds(2),
            backoff_rate=2,
            max_attempts=100,
            max_delay=cdk.Duration.minutes(2),
            jitter_strategy=sfn.JitterType.FULL,
        )
        task.add_retry(
            errors=["States.ALL"],
            interval=cdk.Duration.seconds(2),
            backoff_rate=2,
            max_attempts=6,
            max_delay=cdk.Duration.minutes(2),
            jitter_strategy=sfn.JitterType.FULL,
        )
        return task

    # --- what starts it, and what follows a failure

    def _on_upload(self, data: DataBucket) -> None:
        events.Rule(
            self,
            "OnUpload",
            description=f"Score what is uploaded under inbox/{self._deployment.model}/",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [data.bucket.bucket_name]},
                    "object": {"key": [{"prefix": f"inbox/{self._deployment.model}/"}]},
                },
            ),
            targets=[self._target(self.start)],
        )

    def _on_failure(self) -> None:
        events.Rule(
            self,
            "OnFailure",
            description="Say in the manifest why a job failed",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "stateMachineArn": [self.workflow.state_machine_arn],
                    "status": ["FAILED", "TIMED_OUT", "ABORTED"],
                },
            ),
            targets=[self._target(self.failed)],
        )

    def _target(self, step: BatchFunction) -> events.IRuleTarget:
        return EventQueue(
            step,
            "Events",
            function=step.function,
            timeout=step.timeout,
            patience=_DAY,
            undelivered=self.undelivered,
        ).target


def workflow_arn(scope: Construct, deployment: Deployment) -> str:
    """The workflow as another stack names it, without importing it."""
    return cdk.Stack.of(scope).format_arn(
        service="states",
        resource="stateMachine",
        resource_name=_workflow_name(deployment),
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )


def _workflow_name(deployment: Deployment) -> str:
    """Of at most 80 characters. A long one is cut, and stays another than the next long one by its digest."""
    name = f"slipway-{deployment.stage}-{deployment.model}"
    return name if len(name) <= 80 else f"{name[:71]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
