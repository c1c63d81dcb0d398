"""A promotion rolls the endpoints: once, to what is live now, whatever the events do; what fails is told."""

import logging
import random
from collections.abc import Callable
from typing import Any

import pytest

from slipway.errors import ModelUnavailable, StoreError
from slipway.hosting.names import version_in
from slipway.store import Store
from tests.release.conftest import ASYNC, AT_ONCE, IMAGE, PREFIX, ROLE, ROLLING, SETTINGS, publish
from tests.release.fake_sagemaker import FakeSageMaker

Roll = Callable[..., bool]
Live = Callable[..., str]


def served(sagemaker: FakeSageMaker) -> str:
    return version_in(sagemaker.components["component"]["model"])


def served_async(sagemaker: FakeSageMaker) -> str:
    config = sagemaker.configs[sagemaker.endpoints["async"]["EndpointConfigName"]]
    return version_in(config["ProductionVariants"][0]["ModelName"])


def test_a_promotion_makes_a_model_of_the_version_and_updates_the_component(
    roll: Roll, live: Live, sagemaker: FakeSageMaker
) -> None:
    version = live(hour=1)
    assert not roll(), "an update takes minutes"
    component = sagemaker.components["component"]
    made = sagemaker.models[component["wanted"]]
    assert made["PrimaryContainer"]["Image"] == IMAGE
    assert made["PrimaryContainer"]["Environment"] == {"FOR": SETTINGS.gpu_model}
    assert made["PrimaryContainer"]["ModelDataSource"]["S3DataSource"] == {
        "S3Uri": f"s3://{SETTINGS.model_bucket}/models/demo/{version}/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    assert (made["EnableNetworkIsolation"], made["ExecutionRoleArn"]) == (True, ROLE)
    needs = {"NumberOfAcceleratorDevicesRequired": 1, "MinMemoryRequiredInMb": 1024}
    assert component["given"] == {
        "Specification": {"ComputeResourceRequirements": needs},
        "DeploymentConfig": ROLLING,
    }, "and not how many copies there are: that is the scaling's"
    sagemaker.finish()
    assert roll()
    assert served(sagemaker) == version.lower()


def test_what_is_made_has_a_name_that_the_policy_allows_and_the_service_takes(
    roll: Roll, live: Live, sagemaker: FakeSageMaker
) -> None:
    version = live(hour=1)
    roll()
    name = sagemaker.components["component"]["wanted"]
    assert name.startswith(f"{PREFIX}-{version.lower()}-r")
    assert name == name.lower()
    assert len(name) <= 63


def test_the_same_event_fifty_times_updates_once(roll: Roll, live: Live, sagemaker: FakeSageMaker) -> None:
    live(hour=1)
    done = [roll() for _ in range(25)]
    sagemaker.finish()
    done += [roll() for _ in range(25)]
    assert done == [False] * 25 + [True] * 25
    assert sagemaker.calls.count("UpdateInferenceComponent") == 1
    assert sagemaker.calls.count("CreateModel") == 1


def test_an_event_for_what_serves_already_changes_nothing(roll: Roll, store: Store, sagemaker: FakeSageMaker) -> None:
    version = publish(store, hour=1)
    store.promote(version, by="test", why="test")
    sagemaker.components["component"]["model"] = f"{PREFIX}-{version.lower()}-dabcdef"
    assert roll()
    assert sagemaker.calls == []


def test_promotions_one_after_the_other_end_at_the_last(roll: Roll, live: Live, sagemaker: FakeSageMaker) -> None:
    live(hour=1)
    assert not roll()
    last = live(hour=2)
    assert not roll(), "one update at a time"
    assert sagemaker.calls.count("UpdateInferenceComponent") == 1
    sagemaker.finish()
    assert not roll(), "the message of the first begins the second"
    sagemaker.finish()
    assert roll()
    assert served(sagemaker) == last.lower()


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_order_of_events_it_ends_at_what_is_live(
    roll: Roll, live: Live, sagemaker: FakeSageMaker, seed: int
) -> None:
    chooser = random.Random(seed)
    messages, hour, last = 0, 0, ""
    while hour < 4 or messages:
        match chooser.choice(("promote", "deliver", "deliver", "finish")):
            case "promote" if hour < 4:
                hour += 1
                last = live(hour=hour)
                messages += chooser.randint(1, 3)
            case "deliver" if messages:
                messages -= roll(ASYNC)
            case "finish":
                sagemaker.finish()
    assert served(sagemaker) == served_async(sagemaker) == last.lower()


def test_a_rollback_finds_the_model_of_the_former_version(
    roll: Roll, live: Live, store: Store, sagemaker: FakeSageMaker
) -> None:
    first = live(hour=1)
    for _ in range(2):
        roll(), sagemaker.finish()
    live(hour=2)
    for _ in range(2):
        roll(), sagemaker.finish()
    made = sagemaker.calls.count("CreateModel")
    store.rollback(by="test", why="bad")
    roll()
    sagemaker.finish()
    assert roll()
    assert served(sagemaker) == first.lower()
    assert sagemaker.calls.count("CreateModel") == made


def test_old_models_go_but_for_the_former_and_what_a_deployment_made(
    roll: Roll, live: Live, sagemaker: FakeSageMaker
) -> None:
    foreign = f"{PREFIX}-2-20261101t000000z-000000000000-rabcdef"
    sagemaker.models[foreign] = {"ModelName": foreign, "at": -1}
    versions = [live(hour=1)]
    for hour in (2, 3, 4):
        roll(ASYNC), sagemaker.finish(), roll(ASYNC)
        versions.append(live(hour=hour))
    roll(ASYNC), sagemaker.finish()
    assert roll(ASYNC)
    kept = {version_in(name) for name in sagemaker.models if name not in (SETTINGS.gpu_model, ASYNC.gpu_async_model)}
    assert kept == {version.lower() for version in versions[-2:]} | {version_in(foreign)}
    assert {SETTINGS.gpu_model, ASYNC.gpu_async_model, foreign} <= set(sagemaker.models)
    configs = {version_in(name) for name in sagemaker.configs} - {version_in(ASYNC.gpu_async_config)}
    assert configs == {version.lower() for version in versions[-2:]}
    assert ASYNC.gpu_async_config in sagemaker.configs


def test_nothing_is_deleted_while_an_update_may_still_be_taken_back(
    roll: Roll, live: Live, sagemaker: FakeSageMaker
) -> None:
    for hour in (1, 2, 3):
        live(hour=hour)
        roll()
        sagemaker.finish(taken_back=hour == 3)
    roll()
    assert "DeleteModel" not in sagemaker.calls


def test_what_an_alarm_took_back_is_told_and_not_tried_again(
    roll: Roll, live: Live, sagemaker: FakeSageMaker, caplog: pytest.LogCaptureFixture
) -> None:
    live(hour=1)
    roll()
    sagemaker.finish(taken_back=True)
    with caplog.at_level(logging.INFO):
        assert roll()
        assert roll()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["taken back"] * 2
    assert sagemaker.calls.count("UpdateInferenceComponent") == 1
    assert served(sagemaker) == version_in(SETTINGS.gpu_model)


def test_promoting_it_again_tries_it_again(roll: Roll, live: Live, store: Store, sagemaker: FakeSageMaker) -> None:
    version = live(hour=1)
    roll()
    sagemaker.finish(taken_back=True, status="Failed")
    assert roll()
    store.promote(version, by="test", why="the alarm was wrong")
    assert not roll()
    sagemaker.finish()
    assert roll()
    assert served(sagemaker) == version.lower()


def test_what_a_deployment_put_back_after_a_success_is_rolled_again(
    roll: Roll, live: Live, sagemaker: FakeSageMaker
) -> None:
    version = live(hour=1)
    roll()
    sagemaker.finish()
    assert roll()
    sagemaker.components["component"]["model"] = SETTINGS.gpu_model
    assert not roll()
    sagemaker.finish()
    assert roll()
    assert served(sagemaker) == version.lower()


@pytest.mark.parametrize(
    ("what", "says"), [({"fp16": False}, "model.fp16.onnx"), ({"agrees": False}, "is 0.9000, less than 0.995")]
)
def test_a_version_that_a_gpu_cannot_answer_as_cpus_do_is_refused_and_the_former_serves(
    what: dict[str, bool], says: str, roll: Roll, live: Live, sagemaker: FakeSageMaker, caplog: pytest.LogCaptureFixture
) -> None:
    version = live(hour=1, **what)
    with caplog.at_level(logging.INFO):
        assert roll(), "it will never be otherwise: the message is done"
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.message == "refused"
    reason = str(vars(record)["reason"])
    assert version in reason
    assert says in reason
    assert sagemaker.calls == []


def test_before_the_first_promotion_the_message_comes_again(roll: Roll, store: Store) -> None:
    with pytest.raises(ModelUnavailable, match="No version of 'demo' is live"):
        roll()


def test_an_update_that_sagemaker_refused_is_tried_again(
    roll: Roll, live: Live, sagemaker: FakeSageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = live(hour=1)
    update = FakeSageMaker.update_inference_component

    def refused(self: FakeSageMaker, given: Any) -> None:
        sagemaker.components["component"]["status"] = "Updating"
        update(self, given)

    monkeypatch.setattr(FakeSageMaker, "update_inference_component", refused)
    with pytest.raises(StoreError, match="updating component"):
        roll()
    monkeypatch.setattr(FakeSageMaker, "update_inference_component", update)
    sagemaker.finish()
    assert not roll(), "it left no mark"
    sagemaker.finish()
    assert roll()
    assert served(sagemaker) == version.lower()


@pytest.mark.parametrize("status", ["Creating", "Updating", "Deleting"])
def test_while_something_is_under_way_nothing_is_begun(
    roll: Roll, live: Live, sagemaker: FakeSageMaker, status: str
) -> None:
    live(hour=1)
    sagemaker.components["component"]["status"] = status
    assert not roll()
    assert sagemaker.calls == []


def test_the_asynchronous_endpoint_gets_a_configuration_that_differs_by_the_model(
    roll: Roll, live: Live, sagemaker: FakeSageMaker
) -> None:
    version = live(hour=1)
    assert not roll(ASYNC)
    endpoint = sagemaker.endpoints["async"]
    assert endpoint["given"] == {"DeploymentConfig": AT_ONCE}
    made, deployed = sagemaker.configs[endpoint["wanted"]], sagemaker.configs[ASYNC.gpu_async_config]
    (variant,), (former,) = made["ProductionVariants"], deployed["ProductionVariants"]
    assert {**variant, "ModelName": former["ModelName"]} == former
    assert made["AsyncInferenceConfig"] == deployed["AsyncInferenceConfig"]
    model = sagemaker.models[variant["ModelName"]]
    assert model["PrimaryContainer"]["Environment"] == {"FOR": ASYNC.gpu_async_model}
    sagemaker.finish()
    assert roll(ASYNC)
    assert served_async(sagemaker) == served(sagemaker) == version.lower()


def test_one_endpoint_taken_back_does_not_hold_up_the_other(roll: Roll, live: Live, sagemaker: FakeSageMaker) -> None:
    version = live(hour=1)
    roll(ASYNC)
    sagemaker.endpoints["async"].update(status="InService")  # with the former configuration
    assert not roll(ASYNC), "the component is on its way"
    sagemaker.finish()
    assert roll(ASYNC)
    assert served(sagemaker) == version.lower()
    assert served_async(sagemaker) == version_in(ASYNC.gpu_async_config)
