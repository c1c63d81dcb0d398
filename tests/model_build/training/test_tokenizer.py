"""Tokenizers learnt from texts of any script: the same every time, and what serving can read."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from model_build.sections import NetworkConfig
from model_build.training.tokenizer import PAD_ID, SPECIAL_TOKENS, UNKNOWN_ID, train_tokenizer
from slipway.encoding import Encoder

ENGLISH = [f"the {kind} film was {word}, and the cast {word} too" for kind in ("first", "other") for word in
           ("wonderful", "dreadful", "charming", "tedious")]  # fmt: skip
CHINESE = ["这部电影非常好看", "非常好看的电影。我很喜欢", "这部电影太无聊了。不推荐这部电影", "我不喜欢这部电影"]
THAI = ["หนังเรื่องนี้ดีมาก", "หนังเรื่องนี้ไม่ดี", "ฉันชอบหนังเรื่องนี้มาก"]
EMOJI = ["👍🏽 great 👩‍👩‍👧 family", "👎 👎 bad 😡"]
MIXED = [*ENGLISH, *CHINESE, *THAI, *EMOJI]
CORPORA = {"english": ENGLISH, "chinese": CHINESE, "thai": THAI, "emoji": EMOJI, "mixed": MIXED}
KINDS = ("bpe", "unigram")


def config(**options: Any) -> NetworkConfig:
    return NetworkConfig(kind="pooled", **{"vocabulary": 400, **options})


def trained(texts: list[str], **options: Any) -> Tokenizer:
    return train_tokenizer(texts, config(**options))[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script", CORPORA)
def test_tokens_of_a_text_spell_it(script: str, kind: str) -> None:
    tokenizer = trained(CORPORA[script], tokenizer=kind)
    for text in CORPORA[script]:
        tokens = tokenizer.encode(text, add_special_tokens=False).tokens
        assert "".join(tokens) == "".join(tokenizer.normalizer.normalize_str(text).split())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script", CORPORA)
def test_a_saved_tokenizer_gives_the_same_ids(script: str, kind: str, tmp_path: Path) -> None:
    tokenizer = trained(CORPORA[script], tokenizer=kind)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    ours, read = Encoder(tokenizer, max_tokens=64), Encoder.load(tmp_path / "tokenizer.json", max_tokens=64)
    for one, other in zip(ours.encode(MIXED), read.encode(MIXED), strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_bytes_with_threads_or_without(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{a}{b} {b}{c}{a}" for a in "abcdefgh" for b in "ijklmn" for c in "这部电影好看"]  # many ties to break
    found = set()
    for threads in ("true", "false", "true"):
        monkeypatch.setitem(os.environ, "TOKENIZERS_PARALLELISM", threads)
        found.add(trained(texts, tokenizer=kind, vocabulary=300).to_str())
    assert len(found) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_come_first_and_frame_even_an_empty_text(kind: str) -> None:
    tokenizer, pad_id = train_tokenizer(MIXED, config(tokenizer=kind))
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3]
    assert pad_id == PAD_ID == 0
    encoder = Encoder(tokenizer, max_tokens=8)
    assert [encoded.ids.tolist() for encoded in encoder.encode(["", "   "])] == [[2, 3], [2, 3]]
    long = encoder.encode(["the first film was wonderful " * 9])[0].ids
    assert (len(long), long[0], long[-1]) == (8, 2, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_grow_over_several_characters_where_there_are_no_spaces(kind: str) -> None:
    for texts, word in ((CHINESE, "电影"), (THAI, "หนัง")):
        tokens = trained(texts * 5, tokenizer=kind).encode(texts[0]).tokens
        assert any(word in token or token in word for token in tokens if len(token) > 1)
        assert len(tokens) < len(texts[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_that_is_smaller_than_the_alphabet_keeps_the_frequent_characters(kind: str) -> None:
    rare = [chr(0x4E00 + i) for i in range(2_000)]
    tokenizer = trained(["好看" * 40, *rare], tokenizer=kind, vocabulary=300)
    assert tokenizer.get_vocab_size() <= 300
    assert UNKNOWN_ID not in tokenizer.encode("好看").ids
    assert UNKNOWN_ID in tokenizer.encode(rare[-1]).ids


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [[], [""], ["a"], ["好"], ["  "], ["!"]])
def test_few_texts_give_a_small_vocabulary_that_works(texts: list[str], kind: str) -> None:
    encoder = Encoder(trained(texts, tokenizer=kind), max_tokens=16)
    assert len(encoder.encode(["anything at all 好 👍"])[0].ids) > 2


@pytest.mark.parametrize("kind", KINDS)
def test_lower_case_is_a_choice(kind: str) -> None:
    assert len({tuple(trained(ENGLISH, tokenizer=kind).encode(text).ids) for text in ("FILM", "film")}) == 1
    cased = trained([*ENGLISH, *(text.upper() for text in ENGLISH)], tokenizer=kind, lowercase=False)
    assert cased.encode("FILM").ids != cased.encode("film").ids


ENCODERS = {kind: Encoder(trained(MIXED, tokenizer=kind), max_tokens=32) for kind in KINDS}


@settings(max_examples=150)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.sampled_from(KINDS))
def test_no_character_is_too_strange(text: str, kind: str) -> None:
    ids = ENCODERS[kind].encode([text])[0].ids
    assert (ids[0], ids[-1]) == (2, 3)
    assert set(ids[1:-1].tolist()).isdisjoint({0, 2, 3})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lowercase", [True, False])
def test_a_text_that_spells_a_special_token_is_text(kind: str, lowercase: bool) -> None:
    texts = ["[PAD] [SEP] [CLS] [UNK] film"] * 20
    encoder = Encoder(trained(texts, tokenizer=kind, lowercase=lowercase), max_tokens=32)
    assert set(encoder.encode(texts[:1])[0].ids[1:-1].tolist()).isdisjoint(range(len(SPECIAL_TOKENS)))
