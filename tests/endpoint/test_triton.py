"""Triton's clients, as they are installed, over HTTP and gRPC; and messages of the protocol that they do not send."""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from slipway.artifact import read_manifest
from tests.conftest import tiny_rows
from tests.endpoint.process import Endpoint

TEXTS = [row["text"] for row in tiny_rows(seed=5, count=40)]


@pytest.fixture(params=[over_http, over_grpc], ids=["http", "grpc"])
def client(request: pytest.FixtureRequest, server: Endpoint) -> Iterator[tuple[Any, Any]]:
    """The client's module and a client of it."""
    port = server.port if request.param is over_http else server.grpc_port
    made = request.param.InferenceServerClient(f"127.0.0.1:{port}")
    yield request.param, made
    made.close()


@pytest.fixture
def stub(server: Endpoint) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def texts(module: Any, values: list[str], name: str = "text") -> Any:
    tensor = module.InferInput(name, [len(values)], "BYTES")
    tensor.set_data_from_numpy(np.array([value.encode() for value in values], object))
    return tensor


def test_it_is_live_and_ready_and_says_what_it_serves(client: tuple[Any, Any], tiny_artifact: Path) -> None:
    module, asked = client
    manifest = read_manifest(tiny_artifact)
    assert asked.is_server_live()
    assert asked.is_server_ready()
    assert asked.is_model_ready("demo", manifest.version)
    json = {} if module is over_http else {"as_json": True}
    assert asked.get_server_metadata(**json)["version"] == manifest.version
    metadata = asked.get_model_metadata("demo", **json)
    assert metadata["versions"] == [manifest.version]
    assert [output["name"] for output in metadata["outputs"]][:3] == ["label", "score", "scores"]


def test_answers_are_those_of_the_other_dialects(client: tuple[Any, Any], server: Endpoint) -> None:
    module, asked = client
    result = asked.infer("demo", [texts(module, TEXTS)], request_id="r7")
    expected = server.invoke({"instances": TEXTS}).document["predictions"]
    labels = [value.decode() if isinstance(value, bytes) else value for value in result.as_numpy("label")]
    assert labels == [each["label"] for each in expected]
    assert result.as_numpy("score") == pytest.approx([each["score"] for each in expected], abs=1e-5)
    assert result.as_numpy("scores").shape == (len(TEXTS), 2)
    response = result.get_response()
    assert (response["id"] if module is over_http else response.id) == "r7"


def test_outputs_and_parameters_are_asked_for(client: tuple[Any, Any]) -> None:
    module, asked = client
    wanted = [module.InferRequestedOutput(name) for name in ("tokens", "truncated", "abstained", "label")]
    long = " ".join(["film"] * 60)
    found = asked.infer(
        "demo", [texts(module, [long, "good"])], outputs=wanted, parameters={"truncate": "left", "abstain_below": 1.0}
    )
    assert found.as_numpy("tokens").tolist() == [62, 3]
    assert found.as_numpy("truncated").tolist() == [True, False]
    assert found.as_numpy("abstained").tolist() == [True, True]
    assert found.as_numpy("label").tolist() in (["", ""], [b"", b""])


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda m, c: c.infer("other", [texts(m, ["good"])]), "There is no model 'other' here."),
        (lambda m, c: c.infer("demo", [texts(m, ["good"])], model_version="1"), "has no version '1' here."),
        (lambda m, c: c.infer("demo", [texts(m, [" "])]), "text[0] is empty."),
        (lambda m, c: c.infer("demo", [texts(m, ["good"], name="image")]), "inputs[0].name must be 'text'"),
        (lambda m, c: c.infer("demo", [texts(m, ["good"] * 1_001)]), "1,001 texts were sent; 1,000 fit."),
    ],
)
def test_refusals_have_the_same_words(client: tuple[Any, Any], ask: Callable[[Any, Any], Any], words: str) -> None:
    with pytest.raises(InferenceServerException) as refused:
        ask(*client)
    assert words in refused.value.message()


def message(**fields: Any) -> Any:
    given: dict[str, Any] = {"model_name": "demo", **fields}
    if "inputs" not in given:
        contents = service_pb2.InferTensorContents(bytes_contents=[b"a superb lovely film"])
        given["inputs"] = [tensor(contents=contents)]
    return service_pb2.ModelInferRequest(**given)


def tensor(**fields: Any) -> Any:
    return service_pb2.ModelInferRequest.InferInputTensor(
        **{"name": "text", "datatype": "BYTES", "shape": [1], **fields}
    )


def test_typed_contents_are_answered_by_typed_contents(stub: Any) -> None:
    wanted = [
        service_pb2.ModelInferRequest.InferRequestedOutputTensor(name=n)
        for n in ("label", "scores", "tokens", "truncated")
    ]
    answer = stub.ModelInfer(message(outputs=wanted))
    label, scores, tokens, truncated = (output.contents for output in answer.outputs)
    assert [*label.bytes_contents] == [b"positive"]
    assert sum(scores.fp32_contents) == pytest.approx(1, abs=1e-5)
    assert ([*tokens.int_contents], [*truncated.bool_contents]) == ([6], [False])
    assert not answer.raw_output_contents
    assert answer.parameters["backend"].string_param.startswith("cpu-")


@pytest.mark.parametrize(
    ("request_message", "code", "words"),
    [
        (message(model_name="other"), "NOT_FOUND", "no model"),
        (message(inputs=[]), "INVALID_ARGUMENT", "at least one tensor"),
        (message(inputs=[tensor(datatype="FP32")]), "INVALID_ARGUMENT", "must be BYTES"),
        (message(inputs=[tensor()], raw_input_contents=[b"\x05\0\0\0good"]), "INVALID_ARGUMENT", "end inside a text"),
        (message(inputs=[tensor()], raw_input_contents=[b"\x01\0\0\0\xff"]), "INVALID_ARGUMENT", "not UTF-8"),
        (message(raw_input_contents=[b"\x04\0\0\0good"]), "INVALID_ARGUMENT", "Send all tensors raw, or none"),
        (message(parameters={"top_k": service_pb2.InferParameter(int64_param=1)}), "INVALID_ARGUMENT", "top_k"),
        (message(parameters={"truncate": service_pb2.InferParameter()}), "INVALID_ARGUMENT", "'truncate' has no value"),
    ],
)
def test_errors_have_the_code_that_fits(stub: Any, request_message: Any, code: str, words: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelInfer(request_message)
    assert (refused.value.code().name, words in refused.value.details()) == (code, True), refused.value.details()


def test_a_full_queue_a_deadline_and_a_cancellation(held: Callable[..., Endpoint], gate: Path) -> None:
    running = held(queue_tokens=12)
    gate.touch()
    with grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
        asked = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        out = []
        for number in range(2):
            out.append(asked.ModelInfer.future(message(), timeout=60))
            running.wait_for(lambda number=number: running.metric("slipway_batches_in_flight") == number + 1)
        waiting = [asked.ModelInfer.future(message(), timeout=60) for _ in range(2)]
        running.wait_for(lambda: running.metric("slipway_queue_texts") == 2)
        assert code(asked.ModelInfer, message()) == "RESOURCE_EXHAUSTED"
        waiting[0].cancel()
        running.wait_for(lambda: running.metric("slipway_queue_texts") == 1)
        assert code(asked.ModelInfer, message(), timeout=0.3) == "DEADLINE_EXCEEDED"
        running.wait_for(lambda: running.metric("slipway_queue_texts") == 1)
        gate.unlink()
        assert [*waiting[1].result().outputs[0].contents.bytes_contents] == [b"positive"]
        assert all(each.result().outputs for each in out)
        gate.with_name("broken").touch()
        assert code(asked.ModelInfer, message()) == "INTERNAL"


def code(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    with pytest.raises(grpc.RpcError) as refused:
        call(*arguments, **options)
    return str(refused.value.code().name)


def test_many_callers_at_once_each_get_their_own(server: Endpoint) -> None:
    expected = {
        text: each["label"]
        for text, each in zip(TEXTS, server.invoke({"instances": TEXTS}).document["predictions"], strict=True)
    }
    wrong: list[Any] = []

    def call(start: int) -> None:
        client = over_grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}")
        for text in itertools.islice(itertools.cycle(TEXTS), start, start + 40):
            label = client.infer("demo", [texts(over_grpc, [text])]).as_numpy("label")[0].decode()
            if label != expected[text]:
                wrong.append((text, label))
        client.close()

    callers = [threading.Thread(target=call, args=(start,)) for start in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []
