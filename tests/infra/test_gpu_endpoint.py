"""The GPU endpoints: every property that one learns of the hard way, in the template."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.gpu_model import ENDPOINT
from tests.infra.conftest import Assembly, Json, Synthesize

ZERO = {"gpu": "scale-to-zero", "gpu_async": True}
ON = {"gpu": "always-on", "gpu_max_instances": 4, "gpu_min_instances": 2}
STACK = "slipway-prod-tickets-gpu"
MODEL = "AWS::SageMaker::Model"
CONFIG = "AWS::SageMaker::EndpointConfig"
COMPONENT = "AWS::SageMaker::InferenceComponent"
TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"


@pytest.fixture(scope="module")
def zero(synthesize: Synthesize) -> Assembly:
    """Every part of it, scaling to zero."""
    return synthesize(stage="prod", model="tickets", **ZERO).part("*-gpu")


@pytest.fixture(scope="module")
def always(synthesize: Synthesize) -> Assembly:
    return synthesize(stage="prod", model="tickets", **ON).part("*-gpu")


def configs(assembly: Assembly, *, asynchronous: bool) -> list[Json]:
    found = [resource["Properties"] for resource in assembly.resources(CONFIG)]
    return [config for config in found if ("AsyncInferenceConfig" in config) == asynchronous]


def config(assembly: Assembly, *, asynchronous: bool = False) -> tuple[Json, Json]:
    """The endpoint's configuration and its only variant."""
    (found,) = configs(assembly, asynchronous=asynchronous)
    (variant,) = found["ProductionVariants"]
    return found, variant


def of_target(assembly: Assembly, kind: str, dimension: str) -> list[Json]:
    """Scalable targets of that dimension, or the policies on them."""
    resources = assembly.template(STACK)["Resources"]
    ids = [
        name
        for name, resource in resources.items()
        if resource["Type"] == TARGET and resource["Properties"]["ScalableDimension"].endswith(dimension)
    ]
    assert len(ids) == 1
    if kind == TARGET:
        return [resources[ids[0]]["Properties"]]
    policies = [resource["Properties"] for resource in resources.values() if resource["Type"] == kind]
    return [policy for policy in policies if ids[0] in json.dumps(policy["ScalingTargetId"])]


def alarm(assembly: Assembly, metric: str) -> Json:
    found = [resource["Properties"] for resource in assembly.resources("AWS::CloudWatch::Alarm")]
    (properties,) = [properties for properties in found if properties["MetricName"] == metric]
    return properties


def test_off_there_is_none_and_no_shared_stack_differs(zero: Assembly, always: Assembly, aws: Assembly) -> None:
    assert not list(aws.directory.glob("*-gpu.template.json"))
    for stack in ("slipway-prod-store", "slipway-prod-data"):
        assert zero.template(stack) == aws.template(stack)
    batch = "slipway-prod-tickets-batch"
    assert always.template(batch) == aws.template(batch), "only gpu_async is anything to it"
    assert zero.template(batch) != aws.template(batch)


@pytest.mark.parametrize("gpu", ["scale-to-zero", "always-on"])
def test_the_local_cloud_has_no_such_stack(synthesize: Synthesize, gpu: str) -> None:
    assert not list(synthesize(stage="local", gpu=gpu).directory.glob("*-gpu.template.json"))


@pytest.mark.parametrize("name", ["zero", "always"])
def test_cfn_lint_finds_nothing(name: str, request: pytest.FixtureRequest) -> None:
    assembly: Assembly = request.getfixturevalue(name)
    path = str(assembly.directory / f"{STACK}.template.json")
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--ignore-checks", "W3005", "--", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- instances


def test_the_driver_is_one_for_cuda_13(zero: Assembly) -> None:
    for asynchronous in (False, True):
        _, variant = config(zero, asynchronous=asynchronous)
        assert variant["InferenceAmiVersion"] == "al2023-ami-sagemaker-inference-gpu-4-1"
        assert variant["InstanceType"] == "ml.g6.xlarge"


def test_components_want_a_configuration_without_a_model_and_with_a_role(zero: Assembly) -> None:
    found, variant = config(zero)
    assert "ModelName" not in variant
    assert "Fn::GetAtt" in found["ExecutionRoleArn"]
    assert variant["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}


def test_no_key_for_the_volume_which_is_nvme_and_refuses_one(zero: Assembly) -> None:
    assert "KmsKeyId" not in json.dumps(zero.template(STACK))


def test_instances_scale_from_none_with_room_for_an_update(zero: Assembly, always: Assembly) -> None:
    _, variant = config(zero)
    assert variant["ManagedInstanceScaling"] == {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 3}
    assert variant["InitialInstanceCount"] == 1
    _, variant = config(always)
    assert variant["ManagedInstanceScaling"] == {"Status": "ENABLED", "MinInstanceCount": 2, "MaxInstanceCount": 6}
    assert variant["InitialInstanceCount"] == 2


def test_a_region_that_refuses_none_gets_one(synthesize: Synthesize) -> None:
    assembly = synthesize(stage="prod", model="tickets", gpu="scale-to-zero", gpu_min_instances=1).part("*-gpu")
    _, variant = config(assembly)
    assert variant["ManagedInstanceScaling"]["MinInstanceCount"] == 1
    assert of_target(assembly, TARGET, "DesiredCopyCount")[0]["MinCapacity"] == 1


def test_the_instance_is_an_argument(synthesize: Synthesize) -> None:
    assembly = synthesize(stage="prod", model="tickets", gpu="always-on", gpu_instance="ml.g5.2xlarge").part("*-gpu")
    assert config(assembly)[1]["InstanceType"] == "ml.g5.2xlarge"
    assert configs(assembly, asynchronous=True) == []


# --- the model


def test_the_container_is_cut_off_and_has_the_files_of_one_version(zero: Assembly) -> None:
    models = [resource["Properties"] for resource in zero.resources(MODEL)]
    assert len(models) == 2
    for model in models:
        assert model["EnableNetworkIsolation"] is True
        source = model["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
        assert (source["S3DataType"], source["CompressionType"]) == ("S3Prefix", "None")
        address = source["S3Uri"]["Fn::Join"][1]
        assert address[2] == "/models/tickets/"
        assert address[3]["Fn::GetAtt"][1] == "Version"
        assert address[4] == "/", "a prefix without it would be every version that begins so"
        assert "VpcConfig" not in model
    assert config(zero)[0]["EnableNetworkIsolation"] is True


def test_it_insists_on_a_gpu(zero: Assembly) -> None:
    for model in zero.resources(MODEL):
        assert model["Properties"]["PrimaryContainer"]["Environment"]["SLIPWAY_DEVICE"] == "gpu"


def test_a_component_is_one_copy_on_one_gpu(zero: Assembly, always: Assembly) -> None:
    component = zero.properties(COMPONENT)
    assert component["RuntimeConfig"] == {"CopyCount": 1}, "none is refused when it is made"
    assert always.properties(COMPONENT)["RuntimeConfig"] == {"CopyCount": 2}
    needs = component["Specification"]["ComputeResourceRequirements"]
    assert needs == {"NumberOfAcceleratorDevicesRequired": 1, "MinMemoryRequiredInMb": 1024}
    assert component["Specification"]["StartupParameters"] == {"ContainerStartupHealthCheckTimeoutInSeconds": 600}
    assert component["VariantName"] == config(zero)[1]["VariantName"]


def test_metrics_of_the_container_are_collected(zero: Assembly) -> None:
    assert config(zero)[0]["MetricsConfig"] == {"EnableDetailedObservability": True}


def test_the_image_is_staged_from_the_endpoint_and_the_layers_alone(zero: Assembly) -> None:
    (asset,) = [path for path in zero.directory.glob("asset.*") if (path / ENDPOINT.source / "Dockerfile").exists()]
    staged = {str(path.relative_to(asset)) for path in asset.rglob("*") if path.is_file()} - {".dockerignore"}
    assert not {file for file in staged if not file.startswith((f"{ENDPOINT.source}/", "layers/"))} - {
        "functions/__init__.py",
        "functions/sbom.py",
    }
    assert not [file for file in staged if "__pycache__" in file]


# --- scaling


def test_copies_follow_the_requests_by_the_metric_of_high_resolution(zero: Assembly, always: Assembly) -> None:
    for assembly, least, most in ((zero, 0, 2), (always, 2, 4)):
        (target,) = of_target(assembly, TARGET, "DesiredCopyCount")
        assert (target["MinCapacity"], target["MaxCapacity"]) == (least, most)
        assert target["ServiceNamespace"] == "sagemaker"
        assert target["ResourceId"] == f"inference-component/{assembly.properties(COMPONENT)['InferenceComponentName']}"
        policies = of_target(assembly, POLICY, "DesiredCopyCount")
        (tracking,) = [p for p in policies if p["PolicyType"] == "TargetTrackingScaling"]
        metric = tracking["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]
        assert metric["PredefinedMetricType"] == ("SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution")


def test_the_target_waits_for_the_component(zero: Assembly) -> None:
    resources = zero.template(STACK)["Resources"]
    (component,) = [name for name, resource in resources.items() if resource["Type"] == COMPONENT]
    (target,) = [r for r in zero.resources(TARGET) if "DesiredCopyCount" in r["Properties"]["ScalableDimension"]]
    assert component in target["DependsOn"]


def test_a_call_that_found_nobody_wakes_it(zero: Assembly) -> None:
    (step,) = [p for p in of_target(zero, POLICY, "DesiredCopyCount") if p["PolicyType"] == "StepScaling"]
    configuration = step["StepScalingPolicyConfiguration"]
    assert configuration["AdjustmentType"] == "ChangeInCapacity"
    assert configuration["StepAdjustments"] == [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]
    asleep = alarm(zero, "NoCapacityInvocationFailures")
    assert asleep["Namespace"] == "AWS/SageMaker"
    component = zero.properties(COMPONENT)["InferenceComponentName"]
    assert asleep["Dimensions"] == [{"Name": "InferenceComponentName", "Value": component}]
    assert (asleep["Threshold"], asleep["Period"], asleep["EvaluationPeriods"]) == (1, 30, 1)
    assert asleep["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    (action,) = asleep["AlarmActions"]
    assert zero.template(STACK)["Resources"][action["Ref"]]["Properties"] == step


def test_what_never_sleeps_needs_no_waking(always: Assembly) -> None:
    assert {policy["Properties"]["PolicyType"] for policy in always.resources(POLICY)} == {"TargetTrackingScaling"}


# --- updates


def test_an_update_rolls_and_is_taken_back_by_alarms(zero: Assembly) -> None:
    rolling = zero.properties(COMPONENT)["DeploymentConfig"]
    policy = rolling["RollingUpdatePolicy"]
    assert policy["MaximumBatchSize"] == {"Type": "CAPACITY_PERCENT", "Value": 50}
    assert policy["WaitIntervalInSeconds"] > 60, "an alarm's period has to end while it waits"
    names = [entry["AlarmName"]["Ref"] for entry in rolling["AutoRollbackConfiguration"]["Alarms"]]
    guards = [zero.template(STACK)["Resources"][name]["Properties"] for name in names]
    assert {guard["MetricName"] for guard in guards} == {"Invocation5XXErrors", "ModelLatency"}
    component = zero.properties(COMPONENT)["InferenceComponentName"]
    for guard in guards:
        assert guard["Dimensions"] == [{"Name": "InferenceComponentName", "Value": component}]
        assert guard["TreatMissingData"] == "notBreaching", "an endpoint that nobody asks is not broken"


# --- asynchronous


def asynchronous(assembly: Assembly) -> tuple[Json, Json]:
    return config(assembly, asynchronous=True)


def test_files_come_and_go_in_the_data_bucket_beside_what_batch_reads(zero: Assembly) -> None:
    found, variant = asynchronous(zero)
    output = found["AsyncInferenceConfig"]["OutputConfig"]
    assert output["S3OutputPath"]["Fn::Join"][1][-1] == "/async/tickets/out/"
    assert output["S3FailurePath"]["Fn::Join"][1][-1] == "/async/tickets/failed/"
    assert "ManagedInstanceScaling" not in variant
    assert variant["InitialInstanceCount"] == 1


def test_its_container_takes_files(zero: Assembly) -> None:
    _, variant = asynchronous(zero)
    model = zero.template(STACK)["Resources"][variant["ModelName"]["Fn::GetAtt"][0]]["Properties"]
    environment = model["PrimaryContainer"]["Environment"]
    assert int(environment["SLIPWAY_MAX_BODY_BYTES"]) == 200_000_000
    assert 60 < float(environment["SLIPWAY_REQUEST_SECONDS"]) < 3600, "SageMaker gives up after an hour"


def test_it_starts_when_a_file_waits_and_stops_when_none_does(zero: Assembly) -> None:
    (target,) = of_target(zero, TARGET, "DesiredInstanceCount")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 2)
    policies = {policy["PolicyType"]: policy for policy in of_target(zero, POLICY, "DesiredInstanceCount")}
    tracking = policies["TargetTrackingScaling"]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["CustomizedMetricSpecification"]["MetricName"] == "ApproximateBacklogSizePerInstance"
    asleep = alarm(zero, "HasBacklogWithoutCapacity")
    assert [dimension["Name"] for dimension in asleep["Dimensions"]] == ["EndpointName"]
    (action,) = asleep["AlarmActions"]
    assert zero.template(STACK)["Resources"][action["Ref"]]["Properties"] == policies["StepScaling"]


def test_its_update_is_a_new_fleet_under_an_alarm(zero: Assembly) -> None:
    (endpoint,) = [r for r in zero.resources("AWS::SageMaker::Endpoint") if "DeploymentConfig" in r["Properties"]]
    deployment = endpoint["Properties"]["DeploymentConfig"]
    assert deployment["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
    assert len(deployment["AutoRollbackConfiguration"]["Alarms"]) == 1


# --- logs and rights


def test_logs_are_there_before_the_endpoints_and_go_with_the_stack(zero: Assembly) -> None:
    groups = [g for g in zero.resources("AWS::Logs::LogGroup") if "LogGroupName" in g["Properties"]]
    assert {group["Properties"]["LogGroupName"] for group in groups} == {
        "/aws/sagemaker/Endpoints/slipway-prod-tickets-gpu",
        "/aws/sagemaker/InferenceComponents/slipway-prod-tickets-gpu-model",
        "/aws/sagemaker/Endpoints/slipway-prod-tickets-gpu-async",
    }
    assert {(group["DeletionPolicy"], group["Properties"]["RetentionInDays"]) for group in groups} == {("Delete", 90)}
    for endpoint in zero.resources("AWS::SageMaker::Endpoint"):
        assert endpoint["DependsOn"]


def granted(assembly: Assembly, role: str) -> dict[str, list[Json]]:
    """Statements of the role whose logical id begins so, by action."""
    found: dict[str, list[Json]] = {}
    for policy in assembly.resources("AWS::IAM::Policy"):
        if not policy["Properties"]["Roles"][0]["Ref"].startswith(role):
            continue
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            actions: Any = statement["Action"]
            for action in [actions] if isinstance(actions, str) else actions:
                found.setdefault(action, []).append(statement)
    return found


def test_instances_may_read_their_model_and_write_their_logs(zero: Assembly, always: Assembly) -> None:
    common = {
        *("ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage"),
        *("ecr:GetDownloadUrlForLayer", "s3:GetObject", "s3:ListBucket", "cloudwatch:PutMetricData"),
        *("cloudwatch:DescribeAlarms", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
    }
    files = {"s3:GetObjectVersion", "s3:PutObject", "s3:AbortMultipartUpload"}
    assert set(granted(always, "Container")) == common
    assert set(granted(zero, "Container")) == common | files
    reading = json.dumps(granted(zero, "Container")["s3:GetObject"])
    assert "/models/tickets/*" in reading
    assert "/async/tickets/in/*" in reading
    assert "inbox" not in reading
    (metrics,) = granted(zero, "Container")["cloudwatch:PutMetricData"]
    assert metrics["Condition"] == {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}}


def test_only_sagemaker_of_this_account_has_their_role(zero: Assembly) -> None:
    trusts = [role["Properties"]["AssumeRolePolicyDocument"]["Statement"] for role in zero.resources("AWS::IAM::Role")]
    (trust,) = [statement for statement in trusts if "sagemaker.amazonaws.com" in json.dumps(statement)]
    (statement,) = trust
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_no_role_has_a_managed_policy(zero: Assembly) -> None:
    assert not [role for role in zero.resources("AWS::IAM::Role") if "ManagedPolicyArns" in role["Properties"]]


def test_no_stack_imports_from_it_so_that_it_can_be_turned_off(synthesize: Synthesize) -> None:
    assembly = synthesize(stage="prod", model="tickets", **ZERO)
    assert not [output for output in assembly.template(STACK)["Outputs"].values() if "Export" in output]
