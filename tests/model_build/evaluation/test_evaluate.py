"""The statistics to measure drift against, and how networks are timed."""

import json
from typing import NamedTuple

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from model_build.evaluation.evaluate import baseline, cpu_name, time_networks, unknown_id
from slipway.drift.bins import STATISTICS
from slipway.encoding import Encoder, TokenIds
from slipway.probabilities import softmax
from tests.conftest import tiny_rows


class _Bare(NamedTuple):
    """What of an encoder is asked."""

    tokenizer: Tokenizer


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
    found = baseline(
        encoder, encoded, np.array([[0.9, 0.1], [0.4, 0.6]], np.float32), labels=["a", "b"], task="single-label"
    )
    assert found["unknown_token_rate"] == 1 / 8


def test_the_baseline_describes_the_answers_and_holds_no_text() -> None:
    encoder = words_encoder("[UNK]")
    texts = [row["text"] for row in tiny_rows(count=50)]
    probabilities = softmax(np.random.default_rng(1).normal(size=(50, 2)))
    found = baseline(encoder, encoder.encode(texts), probabilities, labels=["a", "b"], task="single-label")
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


def test_the_baseline_has_bins_that_hold_all_texts_and_most_of_them_a_tenth() -> None:
    encoder = words_encoder("[UNK]")
    texts = [row["text"] for row in tiny_rows(count=500)]
    probabilities = softmax(np.random.default_rng(1).normal(size=(500, 2)))
    found = baseline(encoder, encoder.encode(texts), probabilities, labels=["a", "b"], task="single-label")["drift"]
    assert found["unknown_id"] == 2
    assert {name: sum(counts) for name, counts in found["counts"].items()} == dict.fromkeys(STATISTICS, 500)
    assert all(45 <= count <= 55 for count in found["counts"]["confidence"])
    for name, edges in found["edges"].items():
        assert len(found["counts"][name]) == len(edges) + 1
        assert edges == sorted(set(edges)), "a decile that is two is one"


def test_an_unknown_token_is_found_in_every_kind_of_tokenizer() -> None:
    unigram = Tokenizer(models.Unigram([("<s>", 0.0), ("<unk>", 0.0), ("a", -1.0)], unk_id=1))
    assert unknown_id(_Bare(unigram)) == 1  # type: ignore[arg-type]
    of_bytes = Tokenizer(models.BPE({"a": 0}, []))
    assert unknown_id(_Bare(of_bytes)) is None  # type: ignore[arg-type]
    assert unknown_id(words_encoder("<unk>")) == 2


def test_networks_take_turns_and_are_timed_alone_and_in_packs() -> None:
    calls: list[tuple[str, int]] = []

    class Recorded:
        def __init__(self, name: str) -> None:
            self.name = name

        def logits(self, rows: list[TokenIds]) -> None:
            calls.append((self.name, len(rows)))

    rows = [np.ones(3, np.int32)] * 4
    networks = {name: Recorded(name) for name in ("fp32", "int8")}
    times = time_networks(networks, dict.fromkeys(networks, rows))  # type: ignore[arg-type]
    assert calls[:10] == [*[("fp32", 1)] * 4, ("fp32", 4), *[("int8", 1)] * 4, ("int8", 4)]
    assert all(value >= 0 for by_name in times.values() for value in by_name.values())
    assert set(times) == {"fp32", "int8"}


def test_the_mix_of_a_multi_label_task_counts_every_label_that_applies() -> None:
    encoder = words_encoder("[UNK]")
    probabilities = np.array([[0.9, 0.8], [0.7, 0.1], [0.2, 0.3]], np.float32)
    encoded = encoder.encode(["good film", "film", "good"])
    found = baseline(encoder, encoded, probabilities, labels=["a", "b"], task="multi-label")
    assert found["label_mix"] == pytest.approx({"a": 2 / 3, "b": 1 / 3}, abs=1e-5)


def test_the_cpu_has_a_name() -> None:
    assert cpu_name().strip()
