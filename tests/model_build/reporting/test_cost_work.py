"""What is timed: texts of the wanted length, by the predictor that functions run."""

from pathlib import Path

import pytest

from model_build.reporting.cost_work import measure_here, texts_of
from slipway.artifact import read_manifest
from slipway.errors import ArtifactError, BuildError
from slipway.loading import load_predictor
from slipway.predictor import Predictor
from tests.model_build.keyword_artifacts import MAX_TOKENS, write_artifact


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = {"good": [1.0, 0.0], "bad": [0.0, 1.0]}
    return write_artifact(tmp_path_factory.mktemp("keywords"), words, ["negative", "positive"])


@pytest.fixture(scope="module")
def predictor(artifact: Path) -> Predictor:
    return load_predictor(artifact)


def words_of(artifact: Path) -> str:
    return " ".join(golden.text for golden in read_manifest(artifact).golden)


@pytest.mark.parametrize("tokens", [2, 3, 9, MAX_TOKENS])
def test_texts_have_the_wanted_tokens(artifact: Path, predictor: Predictor, tokens: int) -> None:
    texts = texts_of(predictor.encoder, words_of(artifact), tokens, 5)
    assert [encoded.tokens for encoded in predictor.encoder.encode(texts)] == [tokens] * 5


@pytest.mark.parametrize("tokens", [4, 7, 32])
def test_so_they_have_with_a_tokenizer_of_pairs(tiny_artifact: Path, tokens: int) -> None:
    encoder = load_predictor(tiny_artifact).encoder
    texts = texts_of(encoder, words_of(tiny_artifact), tokens, 30)
    assert len(set(texts)) > 1  # not the same text all over
    assert {encoded.tokens for encoded in encoder.encode(texts)} == {tokens}


def test_no_text_is_so_short(artifact: Path, predictor: Predictor) -> None:
    with pytest.raises(BuildError, match=r"No text has 1 tokens.*2"):
        texts_of(predictor.encoder, words_of(artifact), 1, 1)


def test_every_length_once_and_none_beyond_what_the_model_reads(artifact: Path) -> None:
    told: list[str] = []
    works = measure_here(artifact, [8, 64, 128, 8], texts=4, overhead_ms=0.2, progress=told.append)
    assert [(work.tokens, work.texts, work.overhead_ms) for work in works] == [(8, 4, 0.2), (MAX_TOKENS, 4, 0.2)]
    assert all(work.milliseconds > 0 for work in works)
    assert works[0].ms_per_text == works[0].milliseconds / 4
    assert told[-1] == "round 5 of 5"


def test_longer_texts_take_longer(tiny_artifact: Path) -> None:
    """Of a real encoder, in many texts, so that the difference is far above what a clock is worth."""
    short, long = measure_here(tiny_artifact, [3, 32], texts=200)
    assert long.milliseconds > short.milliseconds


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"manifest.json"):
        measure_here(tmp_path, [8])
