"""Texts are as long as they should be."""

from pathlib import Path

from benchmarks.texts import Texts
from slipway.artifact import TOKENIZER
from slipway.encoding import Encoder


def test_lengths_are_exact_and_no_longer_than_the_model_reads(tiny_artifact: Path) -> None:
    texts = Texts.of(tiny_artifact)
    encoder = Encoder.load(tiny_artifact / TOKENIZER, max_tokens=32)
    assert texts.lengths() == [8, 32]
    for length in texts.lengths():
        made = texts.of_length(length, 5)
        assert {encoded.tokens for encoded in encoder.encode(made)} == {length}
        assert not any(encoded.truncated for encoded in encoder.encode(made))
        assert len(set(made)) > 1


def test_a_long_tail_has_many_short_texts_and_some_at_the_limit(tiny_artifact: Path) -> None:
    texts = Texts.of(tiny_artifact)
    made = texts.long_tailed(300)
    encoder = Encoder.load(tiny_artifact / TOKENIZER, max_tokens=32)
    lengths = sorted(encoded.tokens for encoded in encoder.encode(made))
    assert 3 <= lengths[0] < lengths[150] < lengths[-1] == 32
    assert texts.tokens(made) == sum(lengths)
    assert made == texts.long_tailed(300)
