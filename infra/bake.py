"""What makes a canary grow by steps, or withdraws it: a workflow that waits, and a function that looks.

The workflow knows nothing of releases: it hands the function back what it returned, until that says it has ended.
"""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.alarms import alarm_at, stopped_executions
from infra.log_groups import log_group
from infra.model_store import ModelStore
from infra.settings import Deployment
from infra.zip_function import ZipFunction, release_code
from slipway.settings.release import ReleaseSettings

_LONGEST = cdk.Duration.days(14)  # five steps of twelve hours, each with two days of patience, are twelve days


class Bakes(Construct):
    """``workflow``, of which each bake is an execution; ``turn``, its function, with its ``role``; the ``alarm``."""

    def __init__(self, scope: Construct, construct_id: str, *, deployment: Deployment, store: ModelStore) -> None:
        super().__init__(scope, construct_id)
        self._deployment = deployment
        settings = ReleaseSettings(
            model=deployment.model, model_bucket=store.bucket.bucket_name, trusted_keys=deployment.trusted_keys
        )
        made = ZipFunction(
            self,
            "Turn",
            code=release_code("bake"),
            settings=settings,
            deployment=deployment,
            description=f"Bakes of the model {deployment.model}: one turn",
            memory_mb=512,
        )
        self.turn, self.role = made.function, made.role
        store.grant_read_model(self.role, model=deployment.model)
        store.grant_move_pointer(self.role, model=deployment.model)
        store.grant_read_bakes(self.role, model=deployment.model)
        self.workflow = self._workflow()
        self.parameter = ssm.StringParameter(
            self,
            "Parameter",
            description=f"The workflow that bakes canaries of the model {deployment.model}, for `slipway promote`",
            # As slipway.bakes.starting.parameter_name has it; the bucket says which of several stages it is.
            parameter_name=f"/slipway/{store.bucket.bucket_name}/{deployment.model}/bake",
            simple_name=False,
            string_value=self.workflow.state_machine_arn,
        )
        self.alarm = self._alarm()

    def _workflow(self) -> sfn.StateMachine:
        logs = log_group(self, "WorkflowLogs", deployment=self._deployment)
        return sfn.StateMachine(
            self,
            "Workflow",
            definition_body=sfn.DefinitionBody.from_chainable(self._steps()),
            comment=f"Lets a canary of the model {self._deployment.model} grow while it is good",
            logs=sfn.LogOptions(destination=logs, level=sfn.LogLevel.ALL, include_execution_data=False),
            tracing_enabled=True,
            timeout=_LONGEST,
        )

    def _steps(self) -> sfn.IChainable:
        wait = sfn.Wait(self, "Let it bake", time=sfn.WaitTime.seconds_path("$.pause"))
        look = tasks.LambdaInvoke(
            self,
            "Look and judge",
            lambda_function=self.turn,
            payload_response_only=True,
            retry_on_service_exceptions=False,
        )
        look.add_retry(  # a turn can be done twice; for about an hour, since until it is done nobody watches the canary
            errors=["States.ALL"],
            interval=cdk.Duration.seconds(1),
            backoff_rate=2,
            max_attempts=40,
            max_delay=cdk.Duration.minutes(2),
            jitter_strategy=sfn.JitterType.FULL,
        )
        goes_on = sfn.Choice(self, "Does it go on?")
        goes_on.when(sfn.Condition.string_equals("$.state", "going"), wait)
        goes_on.otherwise(sfn.Succeed(self, "Ended"))
        return wait.next(look).next(goes_on)

    def _alarm(self) -> cloudwatch.Alarm:
        return alarm_at(
            self,
            "Stopped bakes",
            metric=stopped_executions(self.workflow, local=self._deployment.local),
            says=f"A bake of the model {self._deployment.model} stopped half-way: its canary answers on and nobody "
            "watches it. `slipway rollback` withdraws it",
        )
