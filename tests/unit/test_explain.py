"""Which words mattered: weights by hand, offsets that match the text in any script, a limit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from slipway.encoding import Encoder
from slipway.errors import RequestTooLarge
from slipway.explain import explain
from slipway.predictor import Predictor

BUDGET = 100_000
_parts = st.sampled_from(["good", "漢字", "👩‍👩‍👧", "é", "שלום", "ไทย", " ", "\0"])
_texts = st.text(min_size=1, max_size=60) | st.lists(_parts).map("".join)


def test_a_weight_is_what_the_probability_loses_without_the_word(predictor: Predictor) -> None:
    text = "the film was superb"
    explanation = explain(predictor, text, max_tokens=BUDGET)
    label = explanation.label
    whole, *rest = predictor.predict([text, "film was superb", "the was superb", "the film superb", "the film was"])
    expected = [whole.probabilities[label] - other.probabilities[label] for other in rest]
    assert [word.weight for word in explanation.words] == pytest.approx(expected, abs=1e-6)
    assert [text[word.start : word.end] for word in explanation.words] == text.split()


def test_the_word_that_decides_has_the_largest_weight(predictor: Predictor) -> None:
    text = "the film was awful boring dull"
    words = explain(predictor, text, max_tokens=BUDGET).words
    heaviest = max(words, key=lambda word: word.weight)
    assert text[heaviest.start : heaviest.end] in ("awful", "boring", "dull")


def test_the_base_is_the_answer_without_explanation(predictor: Predictor) -> None:
    text = "a lovely film " * 30
    (alone,) = predictor.predict([text])
    base = explain(predictor, text, max_tokens=BUDGET).base
    assert np.abs(base.probabilities - alone.probabilities).max() < 1e-5
    assert (base.tokens, base.truncated) == (alone.tokens, alone.truncated)


@settings(max_examples=100, deadline=None)
@given(_texts)
def test_words_lie_in_the_text_in_order_and_without_overlap(predictor: Predictor, text: str) -> None:
    explanation = explain(predictor, text, max_tokens=BUDGET)
    end = 0
    for word in explanation.words:
        assert end <= word.start < word.end <= len(text)
        assert -1 <= word.weight <= 1
        end = word.end


class Counting:
    """Stands for a network whose vocabulary is bytes: the logits are what it was given."""

    def logits(self, rows: list[Any]) -> Any:
        return np.array([[len(row) / 100, 0.5] for row in rows], np.float32)


@pytest.fixture(scope="module")
def of_bytes(predictor: Predictor) -> Predictor:
    """A predictor whose tokens are single bytes, with the space before a word in the word."""
    vocabulary = {character: number for number, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    network: Any = Counting()
    return Predictor(network, Encoder(tokenizer, max_tokens=400), predictor.manifest)


@settings(max_examples=200, deadline=None)
@given(_texts)
def test_characters_of_several_tokens_are_not_cut(of_bytes: Predictor, text: str) -> None:
    end = 0
    for word in explain(of_bytes, text, max_tokens=10**9).words:
        assert end <= word.start < word.end <= len(text)
        assert text[word.start : word.end] == text[word.start : word.end].strip()
        end = word.end


def test_words_of_byte_tokens_are_words_and_characters(of_bytes: Predictor) -> None:
    text = "  a café, 漢字 👩"
    words = [text[word.start : word.end] for word in explain(of_bytes, text, max_tokens=10**9).words]
    assert words == ["a", "café", ",", "漢", "字", "👩"]


def test_without_its_only_word_there_is_nothing_to_compare_with(predictor: Predictor) -> None:
    (word,) = explain(predictor, "superb", max_tokens=BUDGET).words
    assert (word.start, word.end, word.weight) == (0, 6, 0.0)


def test_the_label_may_be_given(predictor: Predictor) -> None:
    weights = [
        [w.weight for w in explain(predictor, "a superb film", label=i, max_tokens=BUDGET).words] for i in (0, 1)
    ]
    assert weights[0] == pytest.approx([-weight for weight in weights[1]], abs=1e-6), "two labels share one probability"


def test_a_text_that_takes_too_much_is_refused(predictor: Predictor) -> None:
    with pytest.raises(RequestTooLarge, match="4 words; 25 fit"):
        explain(predictor, "the film was superb", max_tokens=25)
