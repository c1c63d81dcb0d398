"""The plot of a study, by what is drawn in it."""

from typing import Any

import pytest

from model_build.reporting.trials_plot import plot_trials, trials_figure


def trial(number: int, score: float | None, state: str = "complete", **values: Any) -> dict[str, Any]:
    named = {key.replace("_", ".", 1): value for key, value in values.items()}
    return {"number": number, "score": score, "state": state, "values": named}


TRIALS = [
    trial(0, 0.80, train_learning_rate=1e-4, train_optimizer="adamw"),
    trial(1, 0.84, train_learning_rate=1e-5, train_optimizer="sgd"),
    trial(2, 0.70, "pruned", train_learning_rate=3e-3, train_optimizer="sgd"),
    trial(3, 0.82, train_learning_rate=5e-4, train_optimizer="adamw"),
    trial(4, None, "pruned", train_learning_rate=1e3, train_optimizer="adamw"),
]


def test_the_best_so_far_never_falls_and_the_most_important_key_comes_first() -> None:
    figure = trials_figure(TRIALS, {"train.optimizer": 0.7, "train.learning_rate": 0.3})
    history, first, second = figure.axes
    assert list(history.lines[0].get_ydata()) == [0.80, 0.84, 0.84]
    assert [text.get_text() for text in history.get_legend().get_texts()] == ["complete", "pruned", "best so far"]
    assert first.get_xlabel() == "train.optimizer, importance 70%"
    assert second.get_xlabel() == "train.learning_rate, importance 30%"
    assert second.get_xscale() == "log"


@pytest.mark.parametrize("keys", [0, 1, 9, 12])
def test_a_panel_a_key_up_to_nine(keys: int) -> None:
    trials = [trial(n, 0.5 + n / 10, **{f"train_key{i}": n * i for i in range(keys)}) for n in range(3)]
    assert len(trials_figure(trials, {}).axes) == 1 + min(keys, 9)


@pytest.mark.parametrize(
    "trials", [TRIALS[:1], [trial(0, 0.5, train_tensorboard=True, train_l1=0.0), trial(1, 0.5, "pruned", train_l1=1.0)]]
)
def test_a_small_study_of_any_values_is_a_png(trials: list[dict[str, Any]]) -> None:
    assert plot_trials(trials, {}).startswith(b"\x89PNG")
