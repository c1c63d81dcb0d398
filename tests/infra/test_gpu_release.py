"""Promotions roll the endpoints, deployments don't undo them, and what goes wrong is told."""

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from infra.gpu_names import grant_invoke
from infra.settings import Deployment
from slipway.settings.release import ReleaseSettings, RollSettings
from tests.infra.conftest import Assembly, Json, Synthesize
from tests.infra.test_gpu_endpoint import COMPONENT, CONFIG, MODEL, STACK, ZERO, granted

ASK = "Custom::LiveVersion"
VARIABLE = "SLIPWAY_MODEL_BUCKET"


@pytest.fixture(scope="module")
def gpu(synthesize: Synthesize) -> Assembly:
    return synthesize(stage="prod", model="tickets", **ZERO).part("*-gpu")


def function(assembly: Assembly, verb: str) -> Json:
    functions = [resource["Properties"] for resource in assembly.resources("AWS::Lambda::Function")]
    (found,) = [f for f in functions if f["Handler"] == f"functions.release.{verb}.handler"]
    return found


def environment(assembly: Assembly, verb: str) -> dict[str, str]:
    """The function's variables, with every reference as a name."""
    variables: Json = function(assembly, verb)["Environment"]["Variables"]
    return {name: _plain(value) for name, value in variables.items()}


def _plain(value: Any) -> str:
    if isinstance(value, dict) and "Fn::Join" in value:
        return "".join(map(_plain, value["Fn::Join"][1]))
    return value if isinstance(value, str) else "reference"


# --- deployments


def test_the_template_names_no_version(gpu: Assembly) -> None:
    for model in gpu.resources(MODEL):
        name = model["Properties"]["ModelName"]["Fn::Join"]
        assert name[0] == "-"
        prefix, version, digest = name[1]
        assert prefix == "slipway-prod-tickets"
        assert version["Fn::GetAtt"][1] == "Name"
        assert digest.startswith("d")
        assert len(digest) == 7


def test_everything_that_is_made_of_the_version_has_a_name_of_its_own(gpu: Assembly) -> None:
    models = [model["Properties"]["ModelName"]["Fn::Join"][1][2] for model in gpu.resources(MODEL)]
    assert len(set(models)) == 2
    named = [
        c["Properties"]["EndpointConfigName"] for c in gpu.resources(CONFIG) if "EndpointConfigName" in c["Properties"]
    ]
    assert len(named) == 1


def test_the_function_that_is_asked_answers_in_time_or_the_deployment_fails(gpu: Assembly) -> None:
    asked = gpu.properties(ASK)
    assert asked["ServiceTimeout"] == "300"
    assert ReleaseSettings.from_env(environment(gpu, "deployed")).model == "tickets"
    (resource,) = gpu.resources(ASK)
    assert any("Policy" in name for name in resource["DependsOn"]), "its rights come before the question"


def made_of_the_version(assembly: Assembly) -> str:
    """What CloudFormation updates with the answer, without the names, which are made of it."""
    kept = []
    for kind in (MODEL, CONFIG, COMPONENT):
        for resource in assembly.resources(kind):
            properties = dict(resource["Properties"])
            if kind == CONFIG and "AsyncInferenceConfig" not in properties:
                continue
            kept.append({k: v for k, v in properties.items() if k not in ("ModelName", "EndpointConfigName", "Tags")})
    return json.dumps(kept, sort_keys=True)


def test_a_deployment_asks_exactly_when_it_changes_something_that_serves(synthesize: Synthesize) -> None:
    """If it changed something and had not asked, it would bring back the version that it was told last."""
    arguments: list[dict[str, object]] = [
        {"gpu": "scale-to-zero"},
        {"gpu": "scale-to-zero", "log_days": 3},
        {"gpu": "scale-to-zero", "memory_mb": 2048, "gpu_max_instances": 5},
        {"gpu": "scale-to-zero", "gpu_instance": "ml.g5.xlarge"},
        {"gpu": "always-on"},
        {"gpu": "always-on", "gpu_min_instances": 2},
        {"gpu": "scale-to-zero", "gpu_async": True},
        {"gpu": "scale-to-zero", "gpu_async": True, "gpu_instance": "ml.g5.xlarge"},
    ]
    by_question: dict[str, set[str]] = {}
    for given in arguments:
        assembly = synthesize(stage="prod", model="tickets", **given).part("*-gpu")
        question = assembly.properties(ASK)["Definition"]
        by_question.setdefault(question, set()).add(made_of_the_version(assembly))
    assert all(len(made) == 1 for made in by_question.values()), "the same question for different endpoints"
    assert len(by_question) == len(set().union(*by_question.values())) == 4, "a question that need not be asked"


# --- promotions


def rules(gpu: Assembly) -> list[Any]:
    """Those that wait for an event."""
    return [rule for rule in gpu.resources("AWS::Events::Rule") if "EventPattern" in rule["Properties"]]


def test_every_minute_the_requests_of_the_api_are_counted(gpu: Assembly) -> None:
    (beat,) = [rule["Properties"] for rule in gpu.resources("AWS::Events::Rule") if rule not in rules(gpu)]
    assert beat["ScheduleExpression"] == "rate(1 minute)"
    variables = function(gpu, "pulse")["Environment"]["Variables"]
    assert (variables["SLIPWAY_API_NAME"], variables["SLIPWAY_API_STAGE"]) == ("slipway-prod-tickets-api", "prod")
    rights = granted(gpu, "TrafficPulse")
    assert set(rights) - LOGGING == {"s3:PutObject", "cloudwatch:GetMetricStatistics"}
    (writing,) = rights["s3:PutObject"]
    assert json.dumps(writing["Resource"]).endswith('models/tickets/traffic.json"]]}')


def test_only_the_live_pointer_of_the_model_rolls_it(gpu: Assembly) -> None:
    patterns = [rule["Properties"]["EventPattern"] for rule in rules(gpu)]
    (promotion,) = [pattern for pattern in patterns if pattern["source"] == ["aws.s3"]]
    assert promotion["detail-type"] == ["Object Created"]
    assert promotion["detail"]["object"] == {"key": ["models/tickets/live.json"]}
    assert "Fn::ImportValue" in promotion["detail"]["bucket"]["name"][0]


def test_so_does_the_end_of_a_deployment_of_this_stack(gpu: Assembly) -> None:
    patterns = [rule["Properties"]["EventPattern"] for rule in rules(gpu)]
    (deployment,) = [pattern for pattern in patterns if pattern["source"] == ["aws.cloudformation"]]
    assert deployment["detail"]["stack-id"] == [{"Ref": "AWS::StackId"}]
    assert "UPDATE_ROLLBACK_COMPLETE" in deployment["detail"]["status-details"]["status"]


@pytest.mark.parametrize("gpu_of_another_model", ["off", "scale-to-zero"])
def test_the_bucket_tells_of_its_objects_whichever_model_is_deployed(
    synthesize: Synthesize, gpu_of_another_model: str
) -> None:
    assembly = synthesize(stage="prod", model="other", gpu=gpu_of_another_model).part("*-store")
    notifications = assembly.properties("AWS::S3::Bucket")["NotificationConfiguration"]
    assert notifications == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}


def test_a_message_comes_back_until_it_is_done_and_is_kept_if_it_never_is(gpu: Assembly) -> None:
    queues = gpu.template(STACK)["Resources"]
    (source,) = gpu.resources("AWS::Lambda::EventSourceMapping")
    assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["Properties"]["BatchSize"] == 1
    waiting = queues[source["Properties"]["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
    assert waiting["VisibilityTimeout"] >= 6 * function(gpu, "roll")["Timeout"]
    patience = waiting["VisibilityTimeout"] * waiting["RedrivePolicy"]["maxReceiveCount"]
    rolling = gpu.properties(COMPONENT)["DeploymentConfig"]["RollingUpdatePolicy"]
    assert patience >= 2 * rolling["MaximumExecutionTimeoutInSeconds"], "one under way, and then its own"
    kept = queues[waiting["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]["Properties"]
    assert kept["MessageRetentionPeriod"] == 14 * 86_400
    for rule in rules(gpu):
        (target,) = rule["Properties"]["Targets"]
        assert target["Arn"] == source["Properties"]["EventSourceArn"]
        assert target["DeadLetterConfig"]["Arn"] == waiting["RedrivePolicy"]["deadLetterTargetArn"]


def test_what_is_given_up_refused_or_taken_back_raises_an_alarm(gpu: Assembly) -> None:
    alarms = [resource["Properties"] for resource in gpu.resources("AWS::CloudWatch::Alarm")]
    metrics = {alarm["MetricName"]: alarm for alarm in alarms}
    assert metrics["ApproximateNumberOfMessagesVisible"]["Threshold"] == 1
    filtered = gpu.properties("AWS::Logs::MetricFilter")
    for text in ("refused", "taken back"):
        assert f'$.message = "{text}"' in filtered["FilterPattern"]
    (transformed,) = filtered["MetricTransformations"]
    assert metrics[transformed["MetricName"]]["Namespace"] == transformed["MetricNamespace"]


def test_the_function_reads_back_what_the_template_says(gpu: Assembly) -> None:
    settings = RollSettings.from_env(environment(gpu, "roll"))
    assert settings.model == "tickets"
    assert settings.gpu_prefix == "slipway-prod-tickets"
    assert settings.gpu_component == gpu.properties(COMPONENT)["InferenceComponentName"]
    assert settings.gpu_async_endpoint == "slipway-prod-tickets-gpu-async"
    names = function(gpu, "roll")["Environment"]["Variables"]
    resources = gpu.template(STACK)["Resources"]
    for variable, kind in (
        ("SLIPWAY_GPU_MODEL", MODEL),
        ("SLIPWAY_GPU_ASYNC_MODEL", MODEL),
        ("SLIPWAY_GPU_ASYNC_CONFIG", CONFIG),
    ):
        assert resources[names[variable]["Fn::GetAtt"][0]]["Type"] == kind
    assert names["SLIPWAY_GPU_MODEL"] != names["SLIPWAY_GPU_ASYNC_MODEL"]


def test_a_roll_is_the_same_update_as_a_deployment_s(gpu: Assembly) -> None:
    rolled = json.loads(environment(gpu, "roll")["SLIPWAY_GPU_ROLLING"])
    deployed = gpu.properties(COMPONENT)["DeploymentConfig"]
    assert rolled["RollingUpdatePolicy"] == deployed["RollingUpdatePolicy"]
    alarms = "AutoRollbackConfiguration"
    assert len(rolled[alarms]["Alarms"]) == len(deployed[alarms]["Alarms"]) == 2


# --- rights

READING = {"s3:GetObject", "s3:ListBucket"}
LOGGING = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
QUEUE = {
    *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"),
    *("sqs:GetQueueAttributes", "sqs:GetQueueUrl"),
}
ROLLING = {
    *("sagemaker:ListModels", "sagemaker:DescribeModel", "sagemaker:CreateModel", "sagemaker:DeleteModel"),
    *("sagemaker:DescribeInferenceComponent", "sagemaker:UpdateInferenceComponent"),
    *("sagemaker:ListTags", "sagemaker:AddTags", "iam:PassRole", "cloudwatch:DescribeAlarms"),
}
ASYNC = {
    *("sagemaker:ListEndpointConfigs", "sagemaker:DescribeEndpointConfig", "sagemaker:CreateEndpointConfig"),
    *("sagemaker:DeleteEndpointConfig", "sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpoint"),
}


def test_the_function_that_is_asked_only_reads(gpu: Assembly) -> None:
    assert set(granted(gpu, "Deployed")) == READING | LOGGING


def test_the_function_that_rolls_has_these_rights_and_no_other(synthesize: Synthesize, gpu: Assembly) -> None:
    without = synthesize(stage="prod", model="tickets", gpu="scale-to-zero").part("*-gpu")
    assert set(granted(without, "ReleaseRoll")) == READING | LOGGING | QUEUE | ROLLING
    assert set(granted(gpu, "ReleaseRoll")) == READING | LOGGING | QUEUE | ROLLING | ASYNC


def test_it_makes_and_deletes_only_what_rolls_make(gpu: Assembly) -> None:
    rights = granted(gpu, "ReleaseRoll")
    for action in ("CreateModel", "DeleteModel", "CreateEndpointConfig", "DeleteEndpointConfig"):
        (statement,) = rights[f"sagemaker:{action}"]
        assert json.dumps(statement["Resource"]).endswith('/slipway-prod-tickets-*-r??????"]]}')


def test_only_lists_and_tracing_are_granted_on_everything(gpu: Assembly) -> None:
    everywhere = {
        action
        for action, statements in granted(gpu, "ReleaseRoll").items()
        if any(statement["Resource"] == "*" for statement in statements)
    }
    lists = {"sagemaker:ListModels", "sagemaker:ListEndpointConfigs"}
    assert everywhere == lists | {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}


def test_it_passes_the_instances_role_to_sagemaker_alone(gpu: Assembly) -> None:
    (passing,) = granted(gpu, "ReleaseRoll")["iam:PassRole"]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert passing["Resource"]["Fn::GetAtt"][0].startswith("Container")


def test_a_caller_may_ask_the_endpoint_and_this_model_on_it() -> None:
    stack = cdk.Stack()
    role = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    grant_invoke(role, stack, deployment=Deployment(stage="prod", model="tickets"))
    document = json.dumps(stack.resolve(role.node.find_child("DefaultPolicy").document.to_json()))  # type: ignore[attr-defined]
    assert "sagemaker:InvokeEndpoint" in document
    assert ":endpoint/slipway-prod-tickets-gpu" in document
    assert ":inference-component/slipway-prod-tickets-gpu-model" in document
    assert "*" not in document
