"""New code is a canary too: a tenth of the requests, alarms on the new version, and the way back."""

import pytest

from infra.settings import DeploymentError
from tests.infra.conftest import Assembly, Json, Synthesize

GROUP, ALIAS, ALARM = "AWS::CodeDeploy::DeploymentGroup", "AWS::Lambda::Alias", "AWS::CloudWatch::Alarm"


@pytest.fixture
def api(aws: Assembly) -> Assembly:
    return aws.part("*-api")


def alarms_of(assembly: Assembly) -> list[Json]:
    resources = assembly.template("slipway-prod-tickets-api")["Resources"]
    return [each["Properties"] for name, each in resources.items() if each["Type"] == ALARM and name.startswith("Code")]


def test_the_alias_moves_a_tenth_first_and_back_where_an_alarm_rings(api: Assembly) -> None:
    (alias,) = api.resources(ALIAS)
    assert set(alias["UpdatePolicy"]) == {"CodeDeployLambdaAliasUpdate"}
    group = api.properties(GROUP)
    assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    rollback = group["AutoRollbackConfiguration"]
    assert rollback["Enabled"] is True
    assert set(rollback["Events"]) == {"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"}
    assert len(group["AlarmConfiguration"]["Alarms"]) == len(alarms_of(api)) == 3


def test_errors_and_time_are_those_of_the_new_version_alone(api: Assembly) -> None:
    (alias,) = api.resources(ALIAS)
    of_lambda = {alarm["MetricName"]: alarm for alarm in alarms_of(api) if alarm["Namespace"] == "AWS/Lambda"}
    assert set(of_lambda) == {"Errors", "Duration"}
    for alarm in of_lambda.values():
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
        assert dimensions["ExecutedVersion"] == alias["Properties"]["FunctionVersion"]
        assert dimensions["Resource"]["Fn::Join"][1][-1] == ":live"
    assert (of_lambda["Duration"]["ExtendedStatistic"], of_lambda["Duration"]["Threshold"]) == ("p99", 3_000)


def test_it_can_be_turned_off_for_a_fix_that_cannot_wait(synthesize: Synthesize) -> None:
    assembly = synthesize(stage="prod", model="tickets", code_canary="false").part("*-api")
    assert assembly.resources(GROUP) == alarms_of(assembly) == []
    assert "UpdatePolicy" not in assembly.resources(ALIAS)[0]


def test_the_local_cloud_has_no_codedeploy(local: Assembly) -> None:
    assert local.resources(GROUP) == []


def test_how_slow_new_code_may_be_is_an_argument(synthesize: Synthesize) -> None:
    assembly = synthesize(stage="prod", model="tickets", code_slow_ms=900).part("*-api")
    thresholds = {alarm["MetricName"]: alarm["Threshold"] for alarm in alarms_of(assembly)}
    assert thresholds["Duration"] == 900
    with pytest.raises(DeploymentError, match="code_slow_ms"):
        synthesize(stage="prod", code_slow_ms=50)
