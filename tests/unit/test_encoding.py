"""Text to token ids: the same alone and in a batch, cut as asked, and never structure."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from slipway.artifact import TOKENIZER
from slipway.encoding import Encoder
from slipway.errors import ArtifactError, InvalidRequest
from slipway.predictor import Predictor

CLS, SEP, UNK = 2, 3, 1
MAX = 32
_words = st.sampled_from(["good", "bad", "film", "the", "unheard-of", "Ünïcode", "[PAD]", "[SEP]", "🎉", "\0", "漢字"])
_texts = st.text(max_size=60) | st.lists(_words, max_size=50).map(" ".join)


@pytest.fixture(scope="module")
def encoder(predictor: Predictor) -> Encoder:
    return predictor.encoder


def _ids(encoder: Encoder, text: str) -> list[int]:
    ids: list[int] = encoder.encode([text])[0].ids.tolist()
    return ids


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(_texts, min_size=1, max_size=8), truncation=st.sampled_from(["right", "left"]))
def test_a_text_has_the_same_ids_alone_and_among_others(encoder: Encoder, texts: list[str], truncation: str) -> None:
    together = encoder.encode(texts, truncation=truncation)  # type: ignore[arg-type]
    for text, among in zip(texts, together, strict=True):
        (alone,) = encoder.encode([text], truncation=truncation)  # type: ignore[arg-type]
        assert alone.ids.tolist() == among.ids.tolist()
        assert alone.tokens == among.tokens


@settings(max_examples=150, deadline=None)
@given(text=_texts)
def test_every_text_stands_between_one_prefix_and_one_suffix_within_the_limit(encoder: Encoder, text: str) -> None:
    (encoded,) = encoder.encode([text])
    assert encoded.ids.dtype == np.int32
    assert 2 <= len(encoded.ids) <= MAX
    assert (encoded.ids[0], encoded.ids[-1]) == (CLS, SEP)
    assert not {0, CLS, SEP} & set(encoded.ids[1:-1].tolist()), "no text is padding or structure"
    assert encoded.truncated == (encoded.tokens > MAX)


@pytest.mark.parametrize("count", [0, 1, MAX - 3, MAX - 2, MAX - 1, 500])
def test_the_right_end_or_the_left_end_is_cut_and_the_marks_stay(encoder: Encoder, count: int) -> None:
    text = " ".join(f"filler{i}" for i in range(count))
    (right,), (left,) = encoder.encode([text]), encoder.encode([text], truncation="left")
    whole = [_ids(encoder, f"filler{i}")[1] for i in range(count)]
    assert len(set(whole)) == count, "every word is a token of its own"
    kept = min(count, MAX - 2)
    assert right.ids.tolist() == [CLS, *whole[:kept], SEP]
    assert left.ids.tolist() == [CLS, *whole[count - kept :], SEP]
    assert right.tokens == left.tokens == count + 2
    assert right.truncated == left.truncated == (count > MAX - 2)


def test_under_the_policy_error_the_first_text_that_is_too_long_is_named(encoder: Encoder) -> None:
    long = "film " * MAX
    with pytest.raises(InvalidRequest, match=f"has {MAX + 2} tokens; the model reads {MAX}") as caught:
        encoder.encode(["short", long, long], truncation="error")
    assert caught.value.field == "instances[1]"
    assert "film" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(count=st.integers(0, 200))
def test_windows_cover_the_whole_text_and_the_last_is_full(encoder: Encoder, count: int) -> None:
    text = " ".join(f"filler{i}" for i in range(count))
    (encoded,) = encoder.encode([text], truncation="windows")
    words = [_ids(encoder, f"filler{i}")[1] for i in range(count)]
    assert not encoded.truncated
    assert encoded.cost == sum(map(len, encoded.windows))
    if count <= MAX - 2:
        assert [window.tolist() for window in encoded.windows] == [[CLS, *words, SEP]]
        return
    assert {len(window) for window in encoded.windows} == {MAX}
    runs = [[words.index(token) for token in window[1:-1].tolist()] for window in encoded.windows]
    assert all(run == list(range(run[0], run[0] + MAX - 2)) for run in runs)
    assert (runs[0][0], runs[-1][-1]) == (0, count - 1)
    assert all(before[0] < after[0] <= before[-1] + 1 for before, after in pairwise(runs)), "no word is left out"


def test_under_the_policy_error_a_text_that_just_fits_passes(encoder: Encoder) -> None:
    (encoded,) = encoder.encode(["film " * (MAX - 2)], truncation="error")
    assert encoded.tokens == len(encoded.ids) == MAX


@pytest.mark.parametrize("mark", ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"])
def test_a_text_that_spells_a_special_token_is_text(encoder: Encoder, mark: str) -> None:
    ids = _ids(encoder, f"good {mark} film")
    assert len(ids) > 5, "the brackets and the word are tokens of their own"
    assert not {0, CLS, SEP, 4} & set(ids[1:-1])


def test_nothing_to_encode_gives_nothing(encoder: Encoder) -> None:
    assert encoder.encode([]) == []


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\0"])
def test_a_text_without_a_word_is_only_its_marks(encoder: Encoder, text: str) -> None:
    assert _ids(encoder, text) == [CLS, SEP]


def test_nul_inside_a_text_changes_nothing(encoder: Encoder) -> None:
    assert _ids(encoder, "good\0 film") == _ids(encoder, "good film")


def test_half_of_a_surrogate_pair_is_an_error_and_never_other_ids(encoder: Encoder) -> None:
    with pytest.raises((TypeError, UnicodeEncodeError)):
        encoder.encode(["good \ud83c film"])


def test_what_the_tokenizer_file_says_of_padding_and_truncation_is_ignored(tiny_artifact: Path, tmp_path: Path) -> None:
    plain = Encoder.load(tiny_artifact / TOKENIZER, max_tokens=MAX)
    tokenizer = Tokenizer.from_file(str(tiny_artifact / TOKENIZER))
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(5)
    tokenizer.save(str(tmp_path / TOKENIZER))
    padded = Encoder.load(tmp_path / TOKENIZER, max_tokens=MAX)
    for text in ("good film", "film " * 20):
        assert _ids(padded, text) == _ids(plain, text)


def test_two_policies_of_one_encoder_do_not_disturb_each_other(encoder: Encoder) -> None:
    text = " ".join(f"filler{i}" for i in range(100))
    before = _ids(encoder, text)
    encoder.encode([text], truncation="left")
    with pytest.raises(InvalidRequest):
        encoder.encode([text], truncation="error")
    assert _ids(encoder, text) == before


@pytest.mark.parametrize("content", ["", "{}", "[]", "garbage", '{"version": "1.0"}'])
def test_what_is_no_tokenizer_is_an_artifact_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    (tmp_path / TOKENIZER).write_text(content)
    with pytest.raises(ArtifactError, match=r"^tokenizer\.json is not a readable tokenizer"):
        Encoder.load(tmp_path / TOKENIZER, max_tokens=MAX)


def test_a_tokenizer_that_reads_no_letter_is_refused(tiny_artifact: Path, tmp_path: Path) -> None:
    content = json.loads((tiny_artifact / TOKENIZER).read_text())
    content["normalizer"] = {"type": "Replace", "pattern": {"Regex": "."}, "content": ""}
    (tmp_path / TOKENIZER).write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        Encoder.load(tmp_path / TOKENIZER, max_tokens=MAX)
