"""The network that is trained, and bases that cannot be loaded."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model_build.config import NetworkConfig
from model_build.networks import PretrainedClassifier, load_pretrained, load_tokenizer, save_tokenizer
from slipway.encoding import Encoder
from slipway.errors import BuildError
from slipway.predictor import pad
from tests.model_build.conftest import PAD, random_rows, torch_answers


def config(base: Path | str, max_tokens: int = 32) -> NetworkConfig:
    return NetworkConfig(base=str(base), max_tokens=max_tokens)


def test_padding_does_not_change_an_answer(bert: PretrainedClassifier) -> None:
    rows = random_rows(0, [3, 9, 20, 40])
    with torch.inference_mode():
        together = bert(torch.from_numpy(pad(rows, PAD)).long()).numpy()
    assert np.abs(together - torch_answers(bert, rows)).max() < 1e-5


def test_the_answer_is_the_head_on_the_mean_of_the_last_states(bert: PretrainedClassifier) -> None:
    ids = torch.from_numpy(random_rows(5, [11])[0][None]).long()
    with torch.inference_mode():
        states = bert.encoder(input_ids=ids).last_hidden_state
        assert torch.allclose(bert(ids), bert.head(states.mean(1)), atol=1e-5)


def test_the_head_is_drawn_from_the_seed(tiny_base: Path) -> None:
    heads = [load_pretrained(config(tiny_base), labels=2, pad_id=0, seed=seed).head.weight for seed in (1, 1, 2)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_a_limit_beyond_the_base_is_refused_with_both_numbers(tiny_base: Path) -> None:
    with pytest.raises(BuildError, match=r"max_tokens = 65.*at most 64"):
        load_pretrained(config(tiny_base, 65), labels=2, pad_id=0, seed=1)


def test_the_saved_tokenizer_neither_pads_nor_cuts(tiny_base: Path, tmp_path: Path) -> None:
    tokenizer, pad_id = load_tokenizer(config(tiny_base))
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(4)
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    encoder = Encoder.load(tmp_path / "tokenizer.json", max_tokens=32)
    assert encoder.tokenizer.padding is None
    assert encoder.tokenizer.truncation is None
    assert pad_id == 0


def damaged(name: str, content: bytes | None) -> Callable[[Path], None]:
    def damage(base: Path) -> None:
        path = base / name
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)

    return damage


def load_both(base: Path) -> None:
    load_tokenizer(config(base))
    load_pretrained(config(base), labels=2, pad_id=0, seed=1)


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
        load_tokenizer(config(base))


def test_a_name_that_no_hub_could_know_is_refused() -> None:
    with pytest.raises(BuildError, match="'not a name'"):
        load_tokenizer(config("not a name"))
