"""What may be searched, and what is refused before anything is read."""

from typing import Any

import optuna
import pytest

from model_build.config import BuildConfig
from model_build.tuning.search_space import read_space, value_at, with_values
from slipway.errors import BuildError


def config(space: dict[str, Any] | None = None, **sections: Any) -> BuildConfig:
    content = {
        "model": "demo",
        "data": {"path": "rows.csv"},
        "network": {"kind": "transformer", "width": 96},
    } | sections
    return BuildConfig.model_validate(content | ({} if space is None else {"tune": {"space": space}}))


def drawn(space: dict[str, Any], count: int = 30) -> list[dict[str, Any]]:
    dimensions = read_space(config(space))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [{d.key: d.suggest(trial) for d in dimensions} for trial in (study.ask() for _ in range(count))]


def test_the_space_that_is_there_by_default_can_be_searched() -> None:
    assert [d.key for d in read_space(config())] == ["train.learning_rate", "train.batch_size", "train.epochs"]


def test_ranges_and_choices_are_drawn_as_their_field_wants_them() -> None:
    values = drawn(
        {
            "train.learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
            "train.batch_size": {"low": 8, "high": 64, "step": 8},
            "train.epochs": {"low": 1, "high": 4.2, "step": 0.5},
            "network.layers": {"low": 1, "high": 3},
            "train.optimizer": ["adamw", "sgd", "adamw"],
        }
    )
    assert all(1e-5 <= v["train.learning_rate"] <= 1e-3 for v in values)
    assert {v["train.batch_size"] for v in values} <= set(range(8, 65, 8))
    assert {v["train.epochs"] for v in values} <= {1, 1.5, 2, 2.5, 3, 3.5, 4}
    assert {v["network.layers"] for v in values} == {1, 2, 3}
    assert all(isinstance(v["network.layers"], int) for v in values)
    assert {v["train.optimizer"] for v in values} == {"adamw", "sgd"}
    for v in values:
        changed = with_values(config(), v)
        assert {key: value_at(changed, key) for key in v} == v


def test_keys_without_quotes_which_toml_makes_tables_of_are_the_same_keys() -> None:
    quoted = read_space(config({"train.epochs": [2, 3], "network.dropout": {"low": 0, "high": 0.5}}))
    assert read_space(config({"train": {"epochs": [2, 3]}, "network": {"dropout": {"low": 0, "high": 0.5}}})) == quoted


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, ["tune.space is empty"]),
        ({"train.learning_rat": [1e-4]}, ["train.learning_rat", "Did you mean 'train.learning_rate'?"]),
        ({"learning_rate": [1e-4]}, ["'learning_rate' is not a known key"]),
        ({"train": [1]}, ["'train' is not a known key"]),
        ({"train.epochs.more": [1]}, ["train.epochs.more"]),
        ({"data.seed": [1, 2]}, ["data.seed does not change", "network, augment, train"]),
        ({"distil.temperature": [1, 2]}, ["distil.temperature does not change"]),
        ({"train.epochs": []}, ["train.epochs = [] is no list"]),
        ({"train.epochs": [[1]]}, ["train.epochs = [[1]]"]),
        ({"train.epochs": 3}, ["train.epochs = 3", "list of choices"]),
        ({"train.epochs": {"low": 1}}, ["train.epochs.high", "{low = 1e-5"]),
        ({"train.epochs": {"low": 3, "high": 3}}, ["low 3 is not below high 3"]),
        ({"train.epochs": {"low": 0, "high": 3, "log": True}}, ["low 0 has no logarithm"]),
        ({"train.epochs": {"low": 1, "high": 3, "step": 0}}, ["train.epochs.step = 0"]),
        ({"train.epochs": {"low": 1, "high": 3, "step": 1, "log": True}}, ["log and step"]),
        ({"train.epochs": {"low": 1, "high": 3, "lgo": True}}, ["train.epochs.lgo"]),
        ({"train.epochs": {"low": "a", "high": 3}}, ["train.epochs.low = 'a'"]),
        ({"train.optimizer": {"low": 1, "high": 3}}, ["train.optimizer"]),
        ({"train.tensorboard": {"low": 0, "high": 1}}, ["train.tensorboard"]),
        ({"train.epochs": {"low": -1, "high": 3}}, ["train.epochs cannot be -1.0", "greater than 0"]),
        ({"network.dropout": {"low": 0, "high": 1}}, ["network.dropout cannot be 1.0", "less than 1"]),
        ({"train.batch_size": {"low": 8, "high": 16.5}}, ["train.batch_size cannot be 16.5", "integer"]),
        ({"train.batch_size": {"low": 8, "high": 16, "step": 0.5}}, ["train.batch_size cannot be 0.5"]),
        ({"train.optimizer": ["adamw", "adagrad"]}, ["train.optimizer cannot be 'adagrad'"]),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_with_the_key_and_the_value(
    space: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(BuildError) as refusal:
        read_space(config(space))
    assert "tune.space" in str(refusal.value)
    for word in words:
        assert word in str(refusal.value)


def test_values_that_do_not_go_together_are_the_trials_matter() -> None:
    read_space(config({"network.heads": [4, 5], "network.width": [96, 100]}))  # 100 is a multiple of 5, and 96 is not
    with_values(config(), {"network.heads": 5, "network.width": 100})
    with pytest.raises(BuildError, match=r"network.heads = 5, network.width = 96: .*not a multiple"):
        with_values(config(), {"network.heads": 5, "network.width": 96})


@pytest.mark.parametrize(
    ("given", "inside", "outside"),
    [([2, 3], 2, 4), ({"low": 1, "high": 2}, 1.5, 2.5), ({"low": 1, "high": 3, "step": 1}, 2, 1.5)],
)
def test_a_dimension_knows_what_it_holds(given: Any, inside: float, outside: float) -> None:
    (dimension,) = read_space(config({"train.epochs": given}))
    assert dimension.holds(inside)
    assert not dimension.holds(outside)
