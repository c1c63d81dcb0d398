"""Warnings: each appears where its numbers say so, and only there."""

from typing import Any

import pytest

from model_build.gates import Gate
from model_build.reporting.verdict import cautions, compared, damaged, least_accuracy, speedup
from tests.model_build.samples import sample

GOOD = sample()


def told(**changes: Any) -> str:
    return "\n".join(f"{caution.section}: {caution.text}" for caution in cautions(sample(**changes)))


def quality(**changes: Any) -> dict[str, Any]:
    return dict(GOOD.quality) | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"baselines": [{"name": "tf-idf", "accuracy": 0.83}]}, "Not proven better than the baseline tf-idf (83.0 %)"),
        ({"quality": quality(texts=60)}, "Only 60 test texts"),
        ({"gates": [Gate(name="parity", value=2, bound=1)]}, "gates: Gates that did not pass: parity."),
        (
            {"serve": "fp32", "serve_reason": "int8 is only 1.1 times as fast."},
            "fp32 ships, not int8: int8 is only 1.1",
        ),
        ({"unmeasured": ["AVX2 alone"]}, "int8 was not measured on CPUs with AVX2 alone"),
        (
            {"frontier": [p | {"allowed": False} for p in GOOD.frontier]},
            "No compressed network met accuracy_drop <= 0.5",
        ),
        ({"quality": quality(classes=[GOOD.quality["classes"][0] | {"f1": 0.2}])}, "negative (F1 0.20)"),
        (
            {"quality": quality(classes=[GOOD.quality["classes"][0] | {"texts": 3}])},
            "too few test texts to judge: negative (3)",
        ),
        ({"quality": quality(calibration={"after": {"error": 0.09}})}, "Scores are off by 9.0 %"),
        (
            {"data": dict(GOOD.data) | {"dropped": {"conflicting labels": 500}}},
            "Rows whose text had several labels: 500",
        ),
        ({"code_revision": "0123456789ab+"}, "reproduce: Built from code that is not committed"),
    ],
)
def test_a_warning_appears_where_the_numbers_ask_for_it(changes: dict[str, Any], words: str) -> None:
    assert words in told(**changes)
    assert words not in told()


@pytest.mark.parametrize(
    "words",
    [
        "Worse than on the whole: length 1 to 60 characters (77.2 %).",
        "Loses more than 5 points: first half only (-11.2 points).",
        "Training texts with a near-duplicate in dev or test: 2.",
        "Labels of the data that look wrong: 1.",
    ],
)
def test_the_sample_has_these_weaknesses(words: str) -> None:
    assert words in told()
    assert words not in told(quality=quality(slices=[], robustness=[]), data={})


def test_of_many_weak_labels_five_are_named() -> None:
    rows = [GOOD.quality["classes"][0] | {"label": f"topic {i}", "f1": None} for i in range(9)]
    assert "topic 4 (F1 0.00) and 4 more" in told(quality=quality(classes=rows))


def test_the_model_stands_below_its_baselines_with_its_interval() -> None:
    rows = compared(GOOD)
    assert [row["name"] for row in rows] == ["majority", "tf-idf + logistic regression", "this model (int8)"]
    assert rows[-1]["accuracy"] == GOOD.metrics["test"]["int8"]["accuracy"]
    assert rows[-1]["interval"] == GOOD.interval


def test_the_speedup_needs_both_times() -> None:
    assert speedup(GOOD) == pytest.approx(3.012 / 0.894)
    assert speedup(sample(speed={"int8": {"megabytes": 1.0, "ms_alone": 1.0}})) is None


def test_no_class_of_cpu_is_missing_where_fp32_serves() -> None:
    assert "not measured on" in told()
    assert "not measured on" not in told(serve="fp32")


def test_the_constraint_is_held_against_the_full_network() -> None:
    assert least_accuracy(GOOD) == pytest.approx(0.8451 - 0.005)
    assert least_accuracy(sample(constraint="")) is None
    assert least_accuracy(sample(frontier=GOOD.frontier[1:])) is None


def test_robustness_is_held_against_the_same_texts_unchanged() -> None:
    unchanged, rows = damaged(sample(quality=quality(robustness=[{"change": "none", "accuracy": 0.7}])))
    assert (unchanged, rows) == (0.7, [])
    assert damaged(sample(quality={}))[0] == GOOD.served["accuracy"]


def test_near_duplicates_that_were_dropped_are_no_leak() -> None:
    dropping = GOOD.config.data.model_copy(update={"near_duplicates": "drop"})
    assert "near-duplicate" not in told(config=GOOD.config.model_copy(update={"data": dropping}))
