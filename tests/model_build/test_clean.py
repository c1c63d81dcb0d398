"""Cleaning: nothing is lost uncounted; splits are stratified, seeded and share no text."""

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_build.clean import SPLITS, Dataset, clean, normalize, split
from model_build.config import DataConfig
from model_build.data import Row
from slipway.errors import BuildError

LABELS = ("a", "b", "c")
TEXTS = st.one_of(st.none(), st.text(max_size=6), st.sampled_from(["x", "X", " x!", "\ufb01lm", "film", "caf\ufffd"]))
ROWS = st.lists(
    st.one_of(
        st.builds(Row, text=TEXTS, label=st.one_of(st.none(), st.sampled_from(LABELS))),
        st.just(Row(malformed=True)),
        st.builds(Row, text=st.text(st.characters(categories=["Cs", "Ll"]), max_size=3), label=st.just("a")),
    ),
    max_size=60,
)


def config(**options: Any) -> DataConfig:
    return DataConfig(path="rows.csv", **options)


def enough(labels: tuple[str, ...] = ("a", "b"), each: int = 20) -> list[Row]:
    """Rows that can be split, whatever is added to them."""
    return [Row(f"{label} base number {i}", label) for label in labels for i in range(each)]


def kept(dataset: Dataset) -> int:
    return sum(map(len, dataset.splits.values()))


@given(ROWS)
def test_rows_read_are_kept_or_counted_as_dropped(rows: list[Row]) -> None:
    dataset = clean([*rows, *enough(LABELS)], config(max_chars=30))
    assert dataset.rows == len(rows) + len(LABELS) * 20
    assert dataset.rows == kept(dataset) + sum(dataset.dropped.values())
    assert all(count > 0 for count in dataset.dropped.values())


@given(ROWS, st.integers(0, 99))
def test_no_text_is_in_two_splits_or_twice_in_one(rows: list[Row], seed: int) -> None:
    dataset = clean([*rows, *enough(LABELS)], config(seed=seed))
    forms = [normalize(example.text) for examples in dataset.splits.values() for example in examples]
    assert len(forms) == len(set(forms))


@given(ROWS)
def test_a_kept_text_has_the_only_label_that_its_rows_agree_on(rows: list[Row]) -> None:
    everything = [*rows, *enough(LABELS)]
    labels: dict[str, set[str]] = {}
    for row in everything:
        if row.text and row.label:
            labels.setdefault(normalize(row.text), set()).add(row.label)
    dataset = clean(everything, config())
    for examples in dataset.splits.values():
        for example in examples:
            assert labels.get(normalize(example.text), {LABELS[example.label]}) == {LABELS[example.label]}


@pytest.mark.parametrize(
    ("rows", "reason", "count"),
    [
        ([Row(None, "a")], "missing or empty text", 1),
        ([Row(" \t\n", "a")], "missing or empty text", 1),
        ([Row("\x00", "a")], "missing or empty text", 1),
        ([Row("new", None)], "missing label", 1),
        ([Row(malformed=True)], "malformed row", 1),
        ([Row("caf\ufffd", "a")], "broken encoding", 1),
        ([Row("half \ud83d pair", "a")], "broken encoding", 1),
        ([Row("x" * 20_001, "a")], "over-long text", 1),
        ([Row("same", "a"), Row("same", "a")], "exact duplicate", 1),
        ([Row("Same thing!", "a"), Row("same  THING", "a")], "normalized duplicate", 1),
        ([Row("same", "a"), Row("same", "b")], "conflicting labels", 2),
        ([Row("same", "a"), Row("same", "b"), Row("SAME!", "a")], "conflicting labels", 3),
    ],
)
def test_each_reason_to_drop_is_counted(rows: list[Row], reason: str, count: int) -> None:
    assert clean([*rows, *enough()], config()).dropped == {reason: count}


def test_a_duplicate_of_a_conflict_leaves_nothing_of_either() -> None:
    dataset = clean([Row("same", "a"), Row("same", "a"), Row("same", "b"), *enough()], config())
    assert sum(dataset.dropped.values()) == 3
    assert all(example.text != "same" for examples in dataset.splits.values() for example in examples)


@pytest.mark.parametrize(
    ("found", "mended"),
    [("schÃ¶n und grÃ¼n", "schön und grün"), ("it\u00e2\u20ac\u2122s good", "it\u2019s good"), ("a\x00b", "a b")],
)
def test_a_text_that_was_decoded_wrongly_is_mended_and_counted(found: str, mended: str) -> None:
    dataset = clean([Row(found, "a"), *enough()], config())
    texts = {example.text for examples in dataset.splits.values() for example in examples}
    assert mended in texts
    assert dataset.mended == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Great film!", "great film"),
        ("  spaces\u00a0 between ", "spaces between"),
        ("\ufb01lm", "film"),
        ("STRASSE", "straße"),
        ("full \uff57\uff49\uff44\uff54\uff48", "full width"),
        ("zero\u200bwidth", "zerowidth"),
        ("cafe\u0301", "caf\u00e9"),
        ("dash-ed", "dashed"),
        ("προΐσταμαι", "ΠΡΟΪ́ΣΤΑΜΑΙ"),
    ],
)
def test_what_a_reader_would_call_the_same_is_the_same(one: str, other: str) -> None:
    assert normalize(one) == normalize(other)


@pytest.mark.parametrize(
    ("one", "other"), [(":-)", ":-("), ("good", "not good"), ("10", "100"), ("\U0001f600", "\U0001f621")]
)
def test_what_means_something_else_is_not_the_same(one: str, other: str) -> None:
    assert normalize(one) != normalize(other)


@given(st.text(max_size=20))
def test_only_an_empty_text_has_an_empty_form(text: str) -> None:
    assert bool(normalize(text)) == bool(text.strip())


def test_the_same_seed_gives_the_same_splits_and_another_gives_others() -> None:
    rows = enough(each=50)
    first, again, other = (clean(rows, config(seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint() != other.fingerprint()
    assert {example.text for example in first.splits["test"]} != {example.text for example in other.splits["test"]}


@given(
    st.lists(st.integers(3, 60), min_size=2, max_size=5),
    st.floats(0.01, 0.49),
    st.floats(0.01, 0.49),
    st.integers(0, 9),
)
@settings(max_examples=60)
def test_every_label_is_in_every_split_at_its_share(counts: list[int], dev: float, test: float, seed: int) -> None:
    if dev + test > 0.6:
        dev, test = dev / 2, test / 2
    texts = {label: [f"{label}-{i}" for i in range(count)] for label, count in enumerate(counts)}
    splits = split(texts, config(dev=dev, test=test, seed=seed))
    found = {name: Counter(example.label for example in splits[name]) for name in SPLITS}
    for label, count in enumerate(counts):
        assert sum(found[name][label] for name in SPLITS) == count
        assert all(found[name][label] >= 1 for name in SPLITS)
        for name, share in (("dev", dev), ("test", test)):
            assert found[name][label] == max(1, round(share * count))


def test_splits_are_shuffled() -> None:
    labels = [example.label for example in clean(enough(each=100), config()).splits["train"]]
    assert labels != sorted(labels)
    assert labels != sorted(labels, reverse=True)


def test_labels_are_sorted_or_as_they_are_named() -> None:
    rows = enough(("1", "0"))
    assert clean(rows, config()).labels == ["0", "1"]
    named = clean(rows, config(label_names={"1": "yes", "0": "no", "2": "unused"}))
    assert named.labels == ["yes", "no"]
    yes = [e.text for examples in named.splits.values() for e in examples if e.label == 0]
    assert yes
    assert all(text.startswith("1 ") for text in yes)


def test_a_label_without_a_name_is_refused() -> None:
    with pytest.raises(BuildError, match=r"'b'.*label_names"):
        clean(enough(), config(label_names={"a": "first"}))


def test_one_label_only_is_refused_by_name() -> None:
    with pytest.raises(BuildError, match="only the label 'a'"):
        clean(enough(("a",)), config())


def test_two_rows_of_a_label_are_too_few() -> None:
    rows = [*enough(), Row("one", "rare"), Row("two", "rare"), Row("two!", "rare")]
    with pytest.raises(BuildError, match="'rare' has 2 usable rows"):
        clean(rows, config())


def test_no_usable_row_says_what_was_dropped() -> None:
    with pytest.raises(BuildError, match="no usable row: 2 read; dropped: 1 malformed row, 1 missing label"):
        clean([Row(malformed=True), Row("x", None)], config())


@pytest.mark.parametrize("label", ["caf\ufffd", "\ud800good"])
def test_a_label_of_broken_encoding_is_dropped_like_a_text(label: str) -> None:
    """It would be a class of its own, and a lone surrogate cannot even be written to the manifest."""
    rows = [*enough(), *(Row(f"other {i}", label) for i in range(5))]
    dataset = clean(rows, config())
    assert dataset.labels == ["a", "b"]
    assert dataset.dropped == {"broken encoding": 5}


def test_a_fingerprint_tells_texts_labels_and_splits_apart() -> None:
    rows = enough()
    changed_text = [Row("other", "a"), *rows[1:]]
    changed_label = [Row(rows[0].text, "b"), *rows[1:]]
    prints = {clean(each, config()).fingerprint() for each in (rows, changed_text, changed_label)}
    prints.add(clean(rows, config(label_names={"a": "x", "b": "y"})).fingerprint())
    assert len(prints) == 4


def test_ten_thousand_rows_are_cleaned_whatever_their_order() -> None:
    rows = [Row(f"text {i % 4_000}", "ab"[i % 2]) for i in range(10_000)]
    counts = clean(rows, config())
    random.Random(0).shuffle(rows)
    shuffled = clean(rows, config())
    assert counts.dropped == shuffled.dropped == {"exact duplicate": 6_000}
