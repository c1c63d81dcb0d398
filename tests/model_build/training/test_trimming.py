"""A vocabulary without what the texts never use: those texts are cut, and answered, as before."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from model_build.compression.cut import layers_of
from model_build.compression.students import Trained, Workshop
from model_build.config import BuildConfig
from model_build.data.clean import clean
from model_build.data.corpora import Corpora
from model_build.data.read import read_rows
from model_build.sections import NetworkConfig
from model_build.training.train import torch_logits
from model_build.training.trimming import trim_tokenizer
from slipway.errors import BuildError
from tests.conftest import tiny_rows

TEXTS = ["the film was wonderful", "a dull and awful plot", "这部电影很好看", "wonderful, wonderful!", "naïve café 🎉"]
OTHERS = ["completely different sentences", "nothing in common with these", "完全不同的句子"]


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()  # type: ignore[assignment]
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()  # type: ignore[assignment]
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator([*TEXTS, *OTHERS] * 3, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single="<s> $A </s>", special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")]
    )
    return tokenizer


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # type: ignore[assignment]
    trainer = trainers.WordPieceTrainer(
        vocab_size=160, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False
    )
    tokenizer.train_from_iterator([*TEXTS, *OTHERS] * 3, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))  # type: ignore[assignment]
    return tokenizer


TOKENIZERS = pytest.mark.parametrize("make", [unigram, wordpiece])


def used_by(tokenizer: Tokenizer, texts: list[str]) -> set[int]:
    return {token for text in texts for token in tokenizer.encode(text).ids}


@TOKENIZERS
def test_texts_of_kept_tokens_are_cut_as_before(make: Callable[[], Tokenizer]) -> None:
    whole = make()
    trimmed, kept = trim_tokenizer(whole, used_by(whole, TEXTS))
    assert len(kept) == trimmed.get_vocab_size(with_added_tokens=True) < whole.get_vocab_size(with_added_tokens=True)
    for text in TEXTS:
        before, after = whole.encode(text), trimmed.encode(text)
        assert after.tokens == before.tokens
        assert [kept[token] for token in after.ids] == before.ids


@TOKENIZERS
def test_a_character_that_was_known_stays_known(make: Callable[[], Tokenizer]) -> None:
    whole = make()
    trimmed, _ = trim_tokenizer(whole, set())
    unknown = {"<unk>", "[UNK]"}
    for piece in whole.get_vocab():
        if len(piece) == 1:
            assert not unknown & set(trimmed.encode(piece).tokens)


_WHOLE = unigram()
_TRIMMED, _KEPT = trim_tokenizer(_WHOLE, used_by(_WHOLE, TEXTS))


@settings(max_examples=200)
@given(st.lists(st.sampled_from([*" ".join(TEXTS + OTHERS), "é", "\0"]), max_size=30).map("".join))
def test_whatever_the_text_it_is_cut_as_before_if_its_tokens_are_kept(text: str) -> None:
    before, after = _WHOLE.encode(text), _TRIMMED.encode(text)
    if set(before.ids) <= set(_KEPT):
        assert [_KEPT[token] for token in after.ids] == before.ids
    assert max(after.ids) < len(_KEPT)


def test_merges_cannot_be_trimmed() -> None:
    with pytest.raises(BuildError, match="BPE"):
        trim_tokenizer(Tokenizer(models.BPE()), set())


def workshop(rows: Path, base: Path, work: Path, recipe: str = "full", **network: Any) -> Workshop:
    config = BuildConfig.model_validate(
        {
            "model": "tiny",
            "data": {"path": str(rows)},
            "network": {"base": str(base), "max_tokens": 32, **network},
            "compress": {"recipes": [recipe]},
        }
    )
    work.mkdir()
    dataset = clean(read_rows(config.data), config.data, work / "data")
    return Workshop(corpora=Corpora(config, dataset, work), work=work, console=Console(file=io.StringIO()))


def fresh(rows: Path, base: Path, work: Path, **network: Any) -> Trained:
    shop = workshop(rows, base, work, **network)
    return shop.fresh(shop.corpora.config.network, seed=3)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tiny_rows(count=80)))
    return tmp_path / "rows.jsonl"


def test_a_trimmed_base_answers_as_before(rows: Path, tiny_base: Path, tmp_path: Path) -> None:
    whole = fresh(rows, tiny_base, tmp_path / "whole")
    trimmed = fresh(rows, tiny_base, tmp_path / "trimmed", trim_vocabulary=True)
    sizes = [made.network.encoder.config.vocab_size for made in (whole, trimmed)]
    assert sizes[1] < sizes[0]
    texts = [row["text"] for row in tiny_rows(count=20)]
    before, after = (torch_logits(made.network, made.encoder, texts) for made in (whole, trimmed))
    assert after == pytest.approx(before, abs=1e-6)


def test_the_step_trim_leaves_the_answers_and_the_whole_network_as_they_were(
    rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    shop = workshop(rows, tiny_base, tmp_path / "work", "cut:1+trim")
    whole = shop.fresh(shop.corpora.config.network, seed=3)
    cut, trimmed = shop.follow("cut:0,1", whole), shop.follow("cut:0,1+trim", whole)
    texts = [row["text"] for row in tiny_rows(count=20)]
    before, after = (torch_logits(made.network, made.encoder, texts) for made in (cut, trimmed))
    assert after == pytest.approx(before, abs=1e-6)
    sizes = [made.encoder.tokenizer.get_vocab_size() for made in (whole, cut, trimmed)]
    assert sizes[2] < sizes[1] == sizes[0] == whole.network.encoder.config.vocab_size


def test_a_tokenizer_that_cannot_be_trimmed_is_refused_before_anything_is_trained(
    rows: Path, tiny_base: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    path = base / "tokenizer.json"
    document = json.loads(path.read_text())
    document["model"] = {"type": "BPE", "vocab": document["model"]["vocab"], "merges": [], "unk_token": "[UNK]"}
    path.write_text(json.dumps(document))
    shop = workshop(rows, base, tmp_path / "work", "cut:1+trim")
    with pytest.raises(BuildError, match="A BPE tokenizer's vocabulary cannot be trimmed"):
        shop.train_full()
    assert not (tmp_path / "work/full").exists()
    assert shop.fresh(NetworkConfig(kind="pooled", vocabulary=300), seed=1)  # a student may have such a tokenizer


def test_layers_of_a_base_are_left_out_before_training(rows: Path, tiny_base: Path, tmp_path: Path) -> None:
    made = fresh(rows, tiny_base, tmp_path / "one", keep_layers=[1])
    assert len(layers_of(made.network)) == 1
    with pytest.raises(BuildError, match="Layer 9 is to be kept; there are 2"):
        fresh(rows, tiny_base, tmp_path / "nine", keep_layers=[0, 9])


@pytest.mark.parametrize("setting", [{"trim_vocabulary": True}, {"keep_layers": [0]}])
def test_what_learns_its_own_vocabulary_has_nothing_to_trim(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="are for kind"):
        NetworkConfig(kind="pooled", **setting)


@pytest.mark.parametrize("recipe", ["trim", "student+distil+trim"])
def test_a_recipe_that_trims_such_a_vocabulary_is_refused(recipe: str) -> None:
    own = {"kind": "pooled"}
    network = {"base": "somewhere"} if "student" in recipe else own
    config = {"model": "m", "data": {"path": "x"}, "network": network, "student": own}
    with pytest.raises(ValueError, match="trims a vocabulary that a pooled network learns here"):
        BuildConfig.model_validate(config | {"compress": {"recipes": [recipe]}})
