"""What a variant is worth: by hand, against scikit-learn, and where numbers are missing."""

import json

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from model_build.evaluate import baseline, calibration_error, confusion, fit_temperature, metrics, time_networks
from slipway.encoding import Encoder, TokenIds
from slipway.predictor import Logits, softmax
from tests.conftest import tiny_rows

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, texts: int, labels: int = 3, scale: float = 2) -> tuple[Logits, np.ndarray]:
    """Logits, and labels drawn from the very probabilities they stand for."""
    numbers = np.random.default_rng(seed)
    logits = (numbers.normal(size=(texts, labels)) * scale).astype(np.float32)
    probabilities = softmax(logits).astype(np.float64)
    chosen = [numbers.choice(labels, p=row / row.sum()) for row in probabilities]
    return logits, np.array(chosen)


def test_metrics_by_hand() -> None:
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.9, 0.1]])
    measured = metrics(np.log(probabilities).astype(np.float32), np.array([0, 1, 1, 0]), 1.0)
    assert measured["accuracy"] == 0.75
    assert measured["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert measured["log_loss"] == pytest.approx(-np.log([0.8, 0.4, 0.7, 0.9]).mean(), abs=1e-6)
    gaps = [1 - 0.8, 0 - 0.6, 1 - 0.7, 1 - 0.9]  # each confidence in a bin of its own
    assert measured["calibration_error"] == pytest.approx(np.abs(gaps).mean(), abs=1e-6)


@given(SEEDS, st.integers(2, 5), st.floats(0.2, 5))
def test_metrics_are_those_of_scikit_learn(seed: int, labels: int, temperature: float) -> None:
    logits, truth = drawn(seed, 80, labels)
    measured = metrics(logits, truth, temperature)
    probabilities = scipy.special.softmax(logits.astype(np.float64) / temperature, axis=1)
    assert measured["accuracy"] == accuracy_score(truth, logits.argmax(1))
    assert measured["macro_f1"] == f1_score(truth, logits.argmax(1), average="macro", zero_division=0)
    assert measured["log_loss"] == pytest.approx(log_loss(truth, probabilities, labels=range(labels)), rel=1e-4)
    assert 0 <= measured["calibration_error"] <= 1


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 8.0])
def test_the_temperature_that_was_applied_is_found(temperature: float) -> None:
    logits, labels = drawn(3, 6_000)
    assert fit_temperature(logits * np.float32(temperature), labels) == pytest.approx(temperature, rel=0.1)


@given(SEEDS)
def test_a_fitted_temperature_never_makes_the_log_loss_worse(seed: int) -> None:
    logits, labels = drawn(seed, 60)
    fitted = fit_temperature(logits * 3, labels)
    assert 0.05 <= fitted <= 20
    assert metrics(logits * 3, labels, fitted)["log_loss"] <= metrics(logits * 3, labels, 1.0)["log_loss"] + 1e-4


def test_a_split_without_an_error_has_a_temperature_all_the_same() -> None:
    logits = np.array([[4, 0], [0, 4], [3, 0]], np.float32)
    assert 0.05 <= fit_temperature(logits, np.array([0, 1, 0])) <= 20


@given(SEEDS, st.integers(1, 50))
def test_a_calibration_error_is_a_share(seed: int, texts: int) -> None:
    logits, labels = drawn(seed, texts)
    assert 0 <= calibration_error(softmax(logits), labels) <= 1


def test_full_confidence_is_calibrated_if_right_and_the_worst_if_wrong() -> None:
    sure = np.array([[1.0, 0.0]] * 4, np.float32)
    assert calibration_error(sure, np.zeros(4, np.int64)) == 0
    assert calibration_error(sure, np.ones(4, np.int64)) == 1


def test_an_impossible_label_costs_much_but_not_infinitely() -> None:
    assert np.isfinite(metrics(np.array([[500, -500]], np.float32), np.array([1]), 1.0)["log_loss"])


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_network_that_diverged_has_no_numbers_and_raises_nothing() -> None:
    """The gates refuse NaN by name; an exception here would hide them."""
    measured = metrics(np.full((4, 2), np.nan, np.float32), np.array([0, 1, 0, 1]), 1.0)
    assert np.isnan(measured["log_loss"])


def test_confusion_has_true_labels_in_rows_and_every_label_even_if_absent() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 1, 1]]
    assert confusion(logits, np.array([0, 0, 1]), ["a", "b", "c"]) == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def words_encoder(unknown: str) -> Encoder:
    vocabulary = {word: i for i, word in enumerate(["<s>", "</s>", unknown, "good", "film"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return Encoder(tokenizer, max_tokens=16)


@pytest.mark.parametrize("unknown", ["[UNK]", "<unk>"])
def test_the_baseline_counts_unknown_tokens_however_the_tokenizer_calls_them(unknown: str) -> None:
    encoder = words_encoder(unknown)
    encoded = encoder.encode(["good film", "bad film"])
    found = baseline(encoder, encoded, np.array([[0.9, 0.1], [0.4, 0.6]], np.float32), ["a", "b"])
    assert found["unknown_token_rate"] == 1 / 8


def test_the_baseline_describes_the_answers_and_holds_no_text() -> None:
    encoder = words_encoder("[UNK]")
    texts = [row["text"] for row in tiny_rows(count=50)]
    probabilities = softmax(np.random.default_rng(1).normal(size=(50, 2)))
    found = baseline(encoder, encoder.encode(texts), probabilities, ["a", "b"])
    assert found["texts"] == 50
    assert sum(found["label_mix"].values()) == pytest.approx(1, abs=1e-5)
    assert found["label_mix"]["b"] == pytest.approx((probabilities.argmax(1) == 1).mean())
    for name in ("confidence_deciles", "token_deciles"):
        assert len(found[name]) == 11
        assert found[name] == sorted(found[name])
    assert found["confidence_deciles"][0] >= 0.5
    assert found["token_deciles"][-1] == max(len(text.split()) for text in texts) + 2
    written = json.dumps(found)
    assert not any(text in written for text in texts)


def test_networks_take_turns_and_are_timed_alone_and_in_packs() -> None:
    calls: list[tuple[str, int]] = []

    class Recorded:
        def __init__(self, name: str) -> None:
            self.name = name

        def logits(self, rows: list[TokenIds]) -> None:
            calls.append((self.name, len(rows)))

    rows = [np.ones(3, np.int32)] * 4
    times = time_networks({name: Recorded(name) for name in ("fp32", "int8")}, rows)
    assert calls[:10] == [*[("fp32", 1)] * 4, ("fp32", 4), *[("int8", 1)] * 4, ("int8", 4)]
    assert all(value >= 0 for by_name in times.values() for value in by_name.values())
    assert set(times) == {"fp32", "int8"}
