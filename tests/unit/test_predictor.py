"""Packing, padding, softmax; answers that company does not change; and what is refused at load."""

import dataclasses
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from slipway import predictor as predictor_module
from slipway.artifact import TOKENIZER, Golden, model_file, read_manifest, serving_files, weights_file
from slipway.errors import ArtifactError, DamagedArtifact
from slipway.predictor import RUN_TOKENS, Predictor, load_predictor, pack, pad
from slipway.probabilities import calibrate, softmax

Reseal = Callable[..., Path]

_lengths = st.lists(st.integers(1, 200), min_size=1, max_size=60)
_words = st.sampled_from(["good", "superb", "bad", "awful", "film", "plot", "the", "very", "unheard", "filler7", "🎉"])
_texts = st.lists(_words, min_size=1, max_size=40).map(" ".join)


@settings(deadline=None)
@given(lengths=_lengths, budget=st.integers(1, 600))
def test_packs_hold_every_index_once_sorted_and_within_the_budget(lengths: list[int], budget: int) -> None:
    packs = pack(lengths, budget)
    flat = [index for indices in packs for index in indices]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[index] for index in flat] == sorted(lengths)
    for indices in packs:
        longest = max(lengths[index] for index in indices)
        assert len(indices) == 1 or len(indices) * longest <= budget


@given(lengths=_lengths, budget=st.integers(1, 600))
def test_no_pack_could_have_taken_the_next_text_for_less_than_a_run(lengths: list[int], budget: int) -> None:
    packs = pack(lengths, budget)
    for indices, following in itertools.pairwise(packs):
        padding = len(indices) * (lengths[following[0]] - lengths[indices[-1]])
        assert (len(indices) + 1) * lengths[following[0]] > budget or padding > RUN_TOKENS


@given(lengths=_lengths, budget=st.integers(1, 600))
def test_packing_never_costs_more_than_a_run_for_each_text(lengths: list[int], budget: int) -> None:
    packs = pack(lengths, budget)
    padded = sum(len(indices) * lengths[indices[-1]] for indices in packs)
    assert padded + RUN_TOKENS * len(packs) <= sum(lengths) + RUN_TOKENS * len(lengths)


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=9), min_size=1, max_size=9))
def test_padding_fills_to_the_longest_and_changes_no_token(rows: list[list[int]]) -> None:
    batch = pad([np.array(row, np.int32) for row in rows], 0)
    assert batch.shape == (len(rows), max(map(len, rows)))
    assert batch.dtype == np.int32
    assert [[token for token in row if token] for row in batch.tolist()] == rows
    assert all(not any(padded[len(row) :]) for padded, row in zip(batch.tolist(), rows, strict=True))


@given(st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_softmax_sums_to_one_keeps_the_order_and_ignores_a_shift(rows: list[list[float]]) -> None:
    logits = np.array(rows)
    probabilities = softmax(logits)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=-1), 1, atol=1e-6)
    assert np.allclose(softmax(logits + 5.0), probabilities, atol=1e-6)
    assert np.array_equal(probabilities.max(axis=-1), probabilities[np.arange(len(rows)), logits.argmax(axis=-1)])


@given(
    labels=st.integers(2, 12),
    temperature=st.floats(0.05, 20),
    seed=st.integers(0, 10_000),
)
def test_few_labels_are_calibrated_as_many_are(labels: int, temperature: float, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(scale=20, size=(3, labels)).astype(np.float32)
    found = calibrate(logits, temperature, "single-label")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, softmax(logits.astype(np.float64) / temperature), rtol=1e-6, atol=1e-37)
    assert (found == np.concatenate([calibrate(row[None], temperature, "single-label") for row in logits])).all()


def test_huge_logits_are_certain() -> None:
    huge = np.array([[3e38, -3e38]], np.float32)
    assert softmax(huge).tolist() == [[1.0, 0.0]]
    assert calibrate(huge, 0.05, "single-label").tolist() == [[1.0, 0.0]]
    assert calibrate(huge, 0.05, "multi-label").tolist() == [[1.0, 0.0]]


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(_texts, min_size=2, max_size=32))
def test_a_text_has_the_same_probabilities_alone_and_among_31_others(predictor: Predictor, texts: list[str]) -> None:
    for text, among in zip(texts, predictor.predict(texts), strict=True):
        (alone,) = predictor.predict([text])
        assert np.abs(alone.probabilities - among.probabilities).max() <= 1e-5
        assert (alone.tokens, alone.truncated) == (among.tokens, among.truncated)


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(_texts, min_size=2, max_size=20, unique=True), seed=st.randoms())
def test_the_order_of_the_answers_is_the_order_of_the_texts(predictor: Predictor, texts: list[str], seed: Any) -> None:
    straight = dict(zip(texts, predictor.predict(texts), strict=True))
    seed.shuffle(texts)
    for text, answer in zip(texts, predictor.predict(texts), strict=True):
        assert np.abs(answer.probabilities - straight[text].probabilities).max() <= 1e-5


def test_the_tiny_model_knows_good_from_bad(predictor: Predictor) -> None:
    good, bad = predictor.predict(["a lovely superb moving film", "a boring awful dull film"])
    labels = predictor.manifest.labels
    assert labels[int(good.probabilities.argmax())] == "positive"
    assert labels[int(bad.probabilities.argmax())] == "negative"


def test_two_threads_answer_as_one_does(tiny_artifact: Path, predictor: Predictor) -> None:
    threaded = load_predictor(tiny_artifact, threads=2)
    texts = [f"the film was {'very ' * (i % 29)} good filler{i}" for i in range(300)]
    for one, two in zip(predictor.predict(texts), threaded.predict(texts), strict=True):
        assert np.abs(one.probabilities - two.probabilities).max() <= 1e-6


def test_no_texts_give_no_predictions(predictor: Predictor) -> None:
    assert predictor.predict([]) == []


def test_a_text_that_is_too_long_is_answered_and_says_so(predictor: Predictor) -> None:
    (answer,) = predictor.predict(["film " * 100])
    assert (answer.truncated, answer.tokens) == (True, 102)
    assert answer.probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_every_variant_reproduces_its_golden_examples(tiny_artifact: Path) -> None:
    for variant in ("int8", "fp32"):
        load_predictor(tiny_artifact, variant)


def _with_golden(predictor: Predictor, golden: Golden) -> Predictor:
    manifest = dataclasses.replace(predictor.manifest, golden=[*predictor.manifest.golden, golden])
    return Predictor(predictor._network, predictor.encoder, manifest)


def test_a_changed_golden_probability_is_refused(predictor: Predictor) -> None:
    golden = predictor.manifest.golden[0]
    tolerance = predictor.manifest.tolerances["int8"]
    for shift, refused in ((tolerance * 1.5, True), (-tolerance * 1.5, True), (tolerance * 0.5, False)):
        moved = [value + shift for value in golden.probabilities["int8"]]
        changed = golden._replace(probabilities={**golden.probabilities, "int8": moved})
        if refused:
            with pytest.raises(ArtifactError, match=r"^model\.int8\.onnx .* a probability differs"):
                _with_golden(predictor, changed).replay_golden("int8")
        else:
            _with_golden(predictor, changed).replay_golden("int8")


def test_a_limited_replay_classifies_the_shortest_and_encodes_all(predictor: Predictor) -> None:
    longest = max(predictor.manifest.golden, key=lambda golden: len(golden.token_ids))
    wrong = longest._replace(probabilities={"int8": longest.probabilities["int8"][::-1]})
    _with_golden(predictor, wrong).replay_golden("int8", tokens=len(longest.token_ids) - 1)
    for tokens in (None, 10_000):
        with pytest.raises(ArtifactError, match="a probability differs"):
            _with_golden(predictor, wrong).replay_golden("int8", tokens=tokens)
    changed = longest._replace(token_ids=[*longest.token_ids[:-1], 4])
    with pytest.raises(ArtifactError, match="token ids differ"):
        _with_golden(predictor, changed).replay_golden("int8", tokens=1)


def test_a_limited_replay_classifies_at_least_one(predictor: Predictor) -> None:
    shortest = min(predictor.manifest.golden, key=lambda golden: len(golden.token_ids))
    wrong = shortest._replace(probabilities={"int8": shortest.probabilities["int8"][::-1]})
    manifest = dataclasses.replace(predictor.manifest, golden=[wrong])
    with pytest.raises(ArtifactError, match="a probability differs"):
        Predictor(predictor._network, predictor.encoder, manifest).replay_golden("int8", tokens=0)


def test_changed_golden_token_ids_are_refused(predictor: Predictor) -> None:
    golden = predictor.manifest.golden[0]
    changed = golden._replace(token_ids=[*golden.token_ids[:-1], 4])
    with pytest.raises(ArtifactError, match=r"^tokenizer\.json .* token ids differ"):
        _with_golden(predictor, changed).replay_golden("int8")


def test_a_golden_probability_that_is_no_number_is_refused(predictor: Predictor) -> None:
    golden = predictor.manifest.golden[0]
    changed = golden._replace(probabilities={"int8": [float("nan")] * 2})
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx"):
        _with_golden(predictor, changed).replay_golden("int8")


@pytest.mark.parametrize("name", [*serving_files("int8"), "manifest.json"])
def test_a_file_missing_at_load_is_named(artifact: Path, name: str) -> None:
    (artifact / name).unlink()
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        load_predictor(artifact)


def test_files_of_other_variants_are_not_needed(artifact: Path) -> None:
    for name in {*read_manifest(artifact).files} - {*serving_files("int8")}:
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


@pytest.mark.parametrize("name", [TOKENIZER, model_file("int8")])
def test_what_is_parsed_is_verified_before(artifact: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_module, "open_session", lambda *_: pytest.fail("a session was opened"))
    (artifact / name).write_bytes((artifact / name).read_bytes() + b" ")
    with pytest.raises(DamagedArtifact, match=rf"{name} of .* is damaged"):
        load_predictor(artifact)


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
    for name in serving_files("int8")[1:]:
        shutil.copy(second_artifact / name, artifact / name)
    golden = [g._replace(probabilities={"int8": g.probabilities["int8"][::-1]}) for g in read_manifest(artifact).golden]
    with pytest.raises(ArtifactError, match="does not reproduce"):
        load_predictor(reseal(artifact, golden=golden))


def test_another_tokenizer_is_refused_by_the_golden_examples(artifact: Path, reseal: Reseal) -> None:
    path = artifact / TOKENIZER
    path.write_text(path.read_text().replace('"film"', '"movie"'))
    with pytest.raises(ArtifactError, match=r"^tokenizer\.json .* token ids differ"):
        load_predictor(reseal(artifact))


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
