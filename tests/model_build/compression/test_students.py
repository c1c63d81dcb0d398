"""Recipes carried out on a tiny network: each step does its part, none is done twice, the full network stays whole."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from model_build.compression.cut import layers_of
from model_build.compression.students import Trained, Workshop
from model_build.config import BuildConfig
from model_build.data.clean import clean
from model_build.data.corpora import Corpora
from model_build.data.read import read_rows
from model_build.training.train import torch_logits
from tests.conftest import tiny_rows

NETWORK = {
    "kind": "transformer",
    "width": 32,
    "hidden": 64,
    "layers": 3,
    "heads": 4,
    "vocabulary": 400,
    "max_tokens": 32,
}
STUDENT = {"kind": "pooled", "tokenizer": "unigram", "width": 16, "hidden": 16, "vocabulary": 300, "max_tokens": 32}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 labelled texts, and 60 without a label in a file beside them."""
    directory = tmp_path_factory.mktemp("rows")
    (directory / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tiny_rows(count=200)))
    others = [row["text"].capitalize() + "." for row in tiny_rows(seed=5, count=60)]
    (directory / "more.txt").write_text("\n".join(others))
    return directory


def workshop(rows: Path, work: Path, **sections: Any) -> Workshop:
    config = BuildConfig.model_validate(
        {
            "model": "tiny",
            "data": {"path": str(rows / "rows.jsonl"), "unlabelled": str(rows / "more.txt")},
            "network": NETWORK,
            "student": STUDENT,
            "train": {"epochs": 2, "learning_rate": 3e-3, "tensorboard": False},
            "distil": {"epochs": 2, "learning_rate": 3e-3},
            "compress": {"recipes": ["student+distil"]},
        }
        | sections
    )
    work.mkdir(parents=True, exist_ok=True)
    dataset = clean(read_rows(config.data), config.data, work / "data")
    return Workshop(corpora=Corpora(config, dataset, work), work=work, console=Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def made(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workshop, Trained]:
    shop = workshop(rows, tmp_path_factory.mktemp("work"))
    return shop, shop.train_full()


def answers(trained: Trained) -> Any:
    return torch_logits(trained.network, trained.encoder, [row["text"] for row in tiny_rows(seed=9, count=40)])


def test_the_full_network_is_the_trained_one(made: tuple[Workshop, Trained]) -> None:
    shop, full = made
    assert (answers(shop.follow("full", full)) == answers(full)).all()


@pytest.mark.parametrize(
    ("recipe", "layers"), [("cut:2", 2), ("cut:0,2+tune", 2), ("cut:0.34+distil", 1), ("distil", 3)]
)
def test_layers_are_cut_and_trained_again(made: tuple[Workshop, Trained], recipe: str, layers: int) -> None:
    shop, full = made
    before = answers(full)
    student = shop.follow(recipe, full)
    assert len(layers_of(student.network)) == layers
    assert len(layers_of(full.network)) == 3
    assert (answers(full) == before).all()
    assert np.abs(answers(student) - before).max() > 1e-3
    assert bool(student.layer_costs) == (recipe in ("cut:2", "cut:0.34+distil"))


def test_a_pruned_network_is_smaller_and_can_be_trained(made: tuple[Workshop, Trained]) -> None:
    shop, full = made
    student = shop.follow("prune:heads=0.5,ffn=0.5+tune", full)
    layer: Any = layers_of(student.network)[0]
    assert layer.attention.self.query.weight.shape == (16, 32)
    assert layer.output.dense.weight.shape == (32, 32)
    assert student.report["stage"] == "prune:heads=0.5,ffn=0.5+tune"


def test_a_soup_is_the_mean_of_the_trainings_that_do_not_harm(made: tuple[Workshop, Trained]) -> None:
    shop, full = made
    before = answers(full)
    soup = shop.follow("soup", full)
    second = shop.train_full(number=2)
    members = json.loads((shop.work / "soup.json").read_text())
    expected = [(full, second)[index].network.head.weight for index in members]
    assert torch.allclose(soup.network.head.weight, torch.stack(expected).mean(0))
    assert soup.report["soup_of"] == len(members)
    assert (answers(full) == before).all()
    assert len(layers_of(shop.follow("soup+cut:0,2", full).network)) == 2


def test_a_small_student_has_its_own_tokenizer_and_learns_from_the_teacher(made: tuple[Workshop, Trained]) -> None:
    shop, full = made
    student = shop.follow("student+distil", full)
    assert type(student.network).__name__ == "PooledClassifier"
    kinds = [type(trained.encoder.tokenizer.model).__name__ for trained in (full, student)]
    assert kinds == ["BPE", "Unigram"]
    assert student.report["steps"] == 2 * -(-(160 + len(shop.corpora.unlabelled)) // 64)


def test_unlabelled_texts_are_none_of_the_labelled_ones(made: tuple[Workshop, Trained]) -> None:
    shop, _ = made
    known = {example.text for split in shop.corpora.dataset.splits.values() for example in split}
    assert shop.corpora.unlabelled
    assert not known & {text.rstrip(".").lower() for text in shop.corpora.unlabelled}


def test_nothing_is_trained_or_searched_twice(
    made: tuple[Workshop, Trained], rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, full = made
    first = shop.follow("cut:2+distil", full)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("done a second time")

    for name in (
        "model_build.training.train.fit",
        "model_build.compression.students.cut",
        "model_build.compression.distil.Network",
    ):
        monkeypatch.setattr(name, never)
    again = workshop(rows, shop.work)
    student = again.follow("cut:2+distil", again.train_full())
    assert torch.equal(student.network.head.weight, first.network.head.weight)
    assert student.layer_costs == first.layer_costs


def test_teachers_are_of_different_seeds(made: tuple[Workshop, Trained]) -> None:
    shop, full = made
    shop.follow("distil", full)
    first, second = (np.load(shop.work / "teachers" / f"teacher-{number}.npy") for number in (1, 2))
    assert first.shape == second.shape == (160 + len(shop.corpora.unlabelled), 2)
    assert np.abs(first - second).max() > 1e-3


def test_changed_copies_are_trained_on_beside_the_texts(rows: Path, tmp_path: Path) -> None:
    shop = workshop(rows, tmp_path, augment={"copies": 2, "label_mixing": 0.3})
    start = shop.fresh(shop.corpora.config.network, seed=1)
    mixed = shop.corpora.train_rows(start.encoder)
    assert len(mixed) == 3 * 160
    assert mixed.targets.shape == (480, 2)
    assert mixed.targets.sum(1) == pytest.approx(np.ones(480))
    assert ((mixed.targets > 0) & (mixed.targets < 1)).any()
    assert len(shop.corpora.rows("dev", start.encoder)) == 20


def test_a_teacher_judges_changed_copies_of_the_training_texts(rows: Path, tmp_path: Path) -> None:
    distil = {"epochs": 1, "teachers": 1, "copies": 2}
    shop = workshop(rows, tmp_path, distil=distil, augment={"word_dropout": 0.3})
    full = shop.train_full()
    student = shop.follow("student+distil", full)
    assert len(np.load(shop.work / "teachers" / "teacher-1.npy")) == 160 + len(shop.corpora.unlabelled) + 2 * 160
    changed, plain = shop.corpora.copies(full.encoder), shop.corpora.tokens("train", full.encoder)
    assert len(changed) == 2 * len(plain)
    assert any(len(changed[2 * index]) < len(plain[index]) for index in range(20))
    # What a teacher says of a copy is about the text that the student sees, whose tokenizer is another.
    assert letters(shop, student) == letters(shop, full)
    assert len(shop.corpora.train_rows(full.encoder)) == 160  # the full network is trained without them


def letters(shop: Workshop, trained: Trained) -> list[str]:
    """Of the copies, as the tokenizer of ``trained`` gives them back; it may part words elsewhere than another one."""
    tokenizer = trained.encoder.tokenizer
    return ["".join(tokenizer.decode(ids.tolist()).split()) for ids in shop.corpora.copies(trained.encoder)]
