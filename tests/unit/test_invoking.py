"""An endpoint has its seconds for the whole answer, however it spends them."""

import json
import time
from collections.abc import Iterator

import pytest

from functions.predict.gpu import GpuFailure, predict
from slipway.hosting.invoking import invoker
from slipway.requests import Parameters, PredictRequest
from tests.faults.gpu import _endpoint
from tests.faults.proxy import Fault, Proxy

ASKED = PredictRequest(["a good film", "a bad film"], Parameters(), "instances")


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with _endpoint("v", {}) as upstream, Proxy(upstream) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", proxy.url)
        yield proxy


def test_an_answer_comes_through(between: Proxy) -> None:
    assert json.loads(invoker("gpu", "", seconds=10)(b"{}"))["backend"] == "gpu-fp16"


@pytest.mark.parametrize("fault", [Fault("trickle", seconds=20), Fault("hang"), Fault("slow", seconds=20)])
def test_an_answer_that_is_late_or_trickles_ends_in_time(between: Proxy, fault: Fault) -> None:
    invoke = invoker("gpu", "", seconds=1.0)
    with between.broken(fault):
        began = time.monotonic()
        with pytest.raises(GpuFailure) as caught:
            predict(invoke, ASKED)
        assert caught.value.kind == "timeout"
        assert time.monotonic() - began < 5


def test_calls_that_hang_do_not_pile_up(between: Proxy) -> None:
    invoke = invoker("gpu", "", seconds=0.2)
    with between.broken(Fault("trickle", seconds=20)):
        began = time.monotonic()
        for _ in range(8):
            with pytest.raises(GpuFailure):
                predict(invoke, ASKED)
        assert time.monotonic() - began < 10
