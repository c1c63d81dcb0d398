"""Bases that cannot be loaded, and the tokenizer as it is saved."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from transformers import AutoModel

from model_build.training.bases import load_base, load_tokenizer, save_tokenizer
from slipway.encoding import Encoder, read_quickly
from slipway.errors import BuildError


def test_the_saved_tokenizer_neither_pads_nor_cuts(tiny_base: Path, tmp_path: Path) -> None:
    tokenizer, pad_id = load_tokenizer(str(tiny_base))
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(4)
    save_tokenizer(tokenizer, tmp_path)
    encoder = Encoder.load(tmp_path / "tokenizer.json", max_tokens=32)
    assert encoder.tokenizer.padding is None
    assert encoder.tokenizer.truncation is None
    assert pad_id == 0


WORDS = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "good", "##ly", "电", "影", "é", "🎬", '"quoted"', "back\\slash"]


def wordpiece(words: Sequence[str]) -> Tokenizer:
    """Its special tokens have ids that are not the first ones, and it has other settings than BERT's."""
    model = WordPiece(
        {word: index for index, word in enumerate(words)},
        unk_token="[UNK]",
        max_input_chars_per_word=7,
        continuing_subword_prefix="##",
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    tokenizer.add_special_tokens(["[SEP]", "[CLS]"])
    tokenizer.post_processor = BertProcessing(("[SEP]", words.index("[SEP]")), ("[CLS]", words.index("[CLS]")))
    return tokenizer


def test_the_words_of_a_wordpiece_tokenizer_are_saved_once_more_and_give_the_same(tmp_path: Path) -> None:
    tokenizer = wordpiece(WORDS)
    save_tokenizer(tokenizer, tmp_path)
    assert (tmp_path / "vocab.txt").read_text().splitlines() == WORDS
    quick = read_quickly(tmp_path / "tokenizer.json", tmp_path / "vocab.txt")
    assert quick.to_str() == tokenizer.to_str()
    for text in ("good goodly 电影 É 🎬 [SEP] incomprehensible", ""):
        assert quick.encode(text).ids == tokenizer.encode(text).ids


@pytest.mark.parametrize("word", ["two\nlines", "trailing ", "tab\t", "\r", "\u2028"], ids=repr)
def test_words_that_a_line_cannot_hold_are_read_from_the_tokenizer_alone(tmp_path: Path, word: str) -> None:
    tokenizer = wordpiece([*WORDS, word, "after"])
    save_tokenizer(tokenizer, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).to_str() == tokenizer.to_str()


def test_other_models_have_no_file_of_words(tmp_path: Path) -> None:
    save_tokenizer(Tokenizer(BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")])), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


def damaged(name: str, content: bytes | None) -> Callable[[Path], None]:
    def damage(base: Path) -> None:
        path = base / name
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)

    return damage


def load_both(base: Path) -> None:
    load_tokenizer(str(base))
    load_base(AutoModel, str(base))


def cut_weights(base: Path) -> None:
    path = base / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1_000])


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(damaged("model.safetensors", None), id="no weights"),
        pytest.param(damaged("model.safetensors", b""), id="empty weights"),
        pytest.param(cut_weights, id="half of the weights"),
        pytest.param(damaged("config.json", None), id="no config"),
        pytest.param(damaged("config.json", b"{"), id="broken config"),
        pytest.param(damaged("config.json", b'{"model_type": "nothing"}'), id="unknown architecture"),
        pytest.param(damaged("tokenizer.json", None), id="no tokenizer"),
        pytest.param(damaged("tokenizer.json", b"{"), id="broken tokenizer"),
        pytest.param(damaged("tokenizer.json", b"{}"), id="empty tokenizer"),
    ],
)
def test_a_damaged_base_is_refused_by_name(tiny_base: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    damage(base)
    with pytest.raises(BuildError, match=str(base)) as error_info:
        load_both(base)
    assert "\n" not in str(error_info.value)


@pytest.mark.parametrize("base", ["/no/such/base", "./none", "package:rich/none"])
def test_a_directory_that_is_not_there_is_named_without_asking_the_hub(base: str) -> None:
    with pytest.raises(BuildError, match=r"no directory.*network\.base"):
        load_tokenizer(base)


def test_a_name_that_no_hub_could_know_is_refused() -> None:
    with pytest.raises(BuildError, match="'not a name'"):
        load_tokenizer("not a name")
