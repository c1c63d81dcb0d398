"""What is refused at load, and what is done beside what."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from slipway import network
from slipway.artifact import TOKENIZER, VOCABULARY, Golden, model_file, read_manifest, weights_file
from slipway.errors import ArtifactError, DamagedArtifact
from slipway.loading import load_predictor
from slipway.predictor import Predictor
from tests.unit.conftest import SERVED

Reseal = Callable[..., Path]


@pytest.mark.parametrize("name", [*SERVED, "manifest.json"])
def test_a_file_missing_at_load_is_named(artifact: Path, name: str) -> None:
    (artifact / name).unlink()
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        load_predictor(artifact)


def test_files_of_other_variants_are_not_needed(artifact: Path) -> None:
    for name in {*read_manifest(artifact).files} - {*SERVED}:
        (artifact / name).unlink()
    load_predictor(artifact)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x0a" * 500])
def test_a_graph_of_garbage_is_refused_even_with_the_right_checksum(
    artifact: Path, reseal: Reseal, content: bytes
) -> None:
    (artifact / model_file("int8")).write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx cannot be opened"):
        load_predictor(reseal(artifact))


def test_cut_weights_are_refused_even_with_the_right_checksum(artifact: Path, reseal: Reseal) -> None:
    weights = artifact / f"{model_file('int8')}.data"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx"):
        load_predictor(reseal(artifact))


def test_weights_that_changed_are_named_though_they_are_verified_beside_the_session(artifact: Path) -> None:
    weights = artifact / weights_file("int8")
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DamagedArtifact, match=rf"{weights.name} of .* is damaged"):
        load_predictor(artifact)
    weights.write_bytes(content[:1000])  # nor does what onnxruntime says of them come before
    with pytest.raises(DamagedArtifact, match=rf"{weights.name} of .* is damaged: 1000 bytes"):
        load_predictor(artifact)


@pytest.mark.parametrize("name", [TOKENIZER, VOCABULARY, model_file("int8")])
def test_what_is_parsed_is_verified_before(artifact: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "open_session", lambda *_: pytest.fail("a session was opened"))
    (artifact / name).write_bytes((artifact / name).read_bytes() + b" ")
    with pytest.raises(DamagedArtifact, match=rf"{name} of .* is damaged"):
        load_predictor(artifact)


def test_a_nice_load_leaves_the_processor_to_others_and_its_caller_as_it_was(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def opened(*given: Any) -> Any:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return open_session(*given)

    open_session, own = network.open_session, os.getpriority(os.PRIO_PROCESS, 0)
    monkeypatch.setattr(network, "open_session", opened)
    for niceness in (0, 10):
        load_predictor(artifact, niceness=niceness)
    assert found == [own, 10]
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
    monkeypatch.setattr(os, "setpriority", _forbidden)
    load_predictor(artifact, niceness=10)


def test_versions_with_the_same_tokenizer_share_it_while_one_is_in_memory(
    artifact: Path, reseal: Reseal, predictor: Predictor
) -> None:
    assert load_predictor(artifact).encoder is predictor.encoder
    short = [example for example in read_manifest(artifact).golden if len(example.token_ids) <= 16]
    shorter = load_predictor(reseal(artifact, max_tokens=16, golden=short))
    assert shorter.encoder is not predictor.encoder
    assert shorter.encoder.max_tokens == 16


def test_weights_of_zeros_are_refused_by_the_golden_examples(artifact: Path, reseal: Reseal) -> None:
    weights = artifact / f"{model_file('int8')}.data"
    weights.write_bytes(bytes(weights.stat().st_size))
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx"):
        load_predictor(reseal(artifact))


def test_the_graph_of_another_version_is_refused_by_the_golden_examples(
    artifact: Path, second_artifact: Path, reseal: Reseal
) -> None:
    for name in SERVED[2:]:
        shutil.copy(second_artifact / name, artifact / name)
    golden = [g._replace(probabilities={"int8": g.probabilities["int8"][::-1]}) for g in read_manifest(artifact).golden]
    with pytest.raises(ArtifactError, match="does not reproduce"):
        load_predictor(reseal(artifact, golden=golden))


def test_other_words_are_refused_by_the_golden_examples(artifact: Path, reseal: Reseal) -> None:
    """The encoder of the artifact as it was is in memory, and is not taken for theirs."""
    before = load_predictor(artifact)
    path = artifact / VOCABULARY
    words = path.read_text().split("\n")
    path.write_text("\n".join("movie" if word == "film" else word for word in words))
    with pytest.raises(ArtifactError, match=r"^tokenizer\.json .* token ids differ"):
        load_predictor(reseal(artifact))
    assert before.predict(["good film"])


def test_an_artifact_without_a_file_of_words_answers_alike(artifact: Path, reseal: Reseal) -> None:
    """As of a release that wrote none; then the tokenizer's own file counts."""
    before = load_predictor(artifact).predict(["a good film 🎬 \0"])
    (artifact / VOCABULARY).unlink()
    found = load_predictor(reseal(artifact)).predict(["a good film 🎬 \0"])
    assert (found[0].logits == before[0].logits).all()
    path = artifact / TOKENIZER
    path.write_text(path.read_text().replace('"film"', '"movie"'))
    with pytest.raises(ArtifactError, match=r"^tokenizer\.json .* token ids differ"):
        load_predictor(reseal(artifact))


def _forbidden(*_: int) -> None:
    raise PermissionError


def _foreign_graph(path: Path, *, takes: str, gives: str, width: int) -> None:
    """A sound ONNX graph that is not ours: constant logits of ``width`` columns."""
    shape = helper.make_tensor("row", TensorProto.FLOAT, [1, width], [0.5] * width)
    nodes = [
        helper.make_node("Cast", [takes], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "row"], [gives]),
    ]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info(takes, TensorProto.INT32, ["rows", "tokens"])],
        [helper.make_tensor_value_info(gives, TensorProto.FLOAT, ["rows", width])],
        [shape, helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


@pytest.mark.parametrize(
    ("takes", "gives", "width"),
    [("input_ids", "logits", 2), ("tokens", "logits", 2), ("input_ids", "output", 2), ("input_ids", "logits", 3)],
    ids=["other answers", "another input", "another output", "another number of labels"],
)
def test_a_sound_graph_that_is_not_this_model_is_an_artifact_error(
    artifact: Path, reseal: Reseal, takes: str, gives: str, width: int
) -> None:
    _foreign_graph(artifact / model_file("int8"), takes=takes, gives=gives, width=width)
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx"):
        load_predictor(reseal(artifact))


@pytest.mark.parametrize(
    "change",
    [
        {"tolerances": {}},
        {"golden": [Golden(text="a film", token_ids=[2, 10, 5, 3], probabilities={})]},
        {"labels": ["negative", "neutral", "positive"]},
        {"max_tokens": 512},
    ],
    ids=["no tolerance", "no probabilities", "a label more", "more tokens than positions"],
)
def test_a_manifest_that_does_not_fit_its_graph_is_an_artifact_error(
    artifact: Path, reseal: Reseal, change: dict[str, Any]
) -> None:
    if "golden" in change:
        encoder = load_predictor(artifact).encoder
        text = change["golden"][0].text
        change = {"golden": [Golden(text=text, token_ids=encoder.encode([text])[0].ids.tolist(), probabilities={})]}
    with pytest.raises(ArtifactError):
        load_predictor(reseal(artifact, **change))
