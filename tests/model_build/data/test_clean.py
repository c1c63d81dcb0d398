"""Cleaning: nothing is lost uncounted; splits are stratified, seeded and share no text."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_build.data.clean import Dataset, clean, keep_all
from model_build.data.read import Row
from model_build.data.texts import normalize
from model_build.sections import DataConfig
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


Clean = Callable[..., Dataset]


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> Clean:
    """``clean`` with the options of a configuration, in a directory that examples of a property test share."""
    work = tmp_path_factory.mktemp("work")
    return lambda rows, **options: clean(rows, config(**options), work)


def kept(dataset: Dataset) -> int:
    return sum(map(len, dataset.splits.values()))


@given(ROWS)
@settings(max_examples=30)
def test_rows_read_are_kept_or_counted_as_dropped(cleaned: Clean, rows: list[Row]) -> None:
    dataset = cleaned([*rows, *enough(LABELS)], max_chars=30)
    assert dataset.rows == len(rows) + len(LABELS) * 20
    assert dataset.rows == kept(dataset) + sum(dataset.dropped.values())
    assert all(count > 0 for count in dataset.dropped.values())


@given(ROWS, st.integers(0, 99))
@settings(max_examples=30)
def test_no_text_is_in_two_splits_or_twice_in_one(cleaned: Clean, rows: list[Row], seed: int) -> None:
    dataset = cleaned([*rows, *enough(LABELS)], seed=seed)
    forms = [normalize(example.text) for examples in dataset.splits.values() for example in examples]
    assert len(forms) == len(set(forms))


@given(ROWS)
@settings(max_examples=30)
def test_a_kept_text_has_the_only_label_that_its_rows_agree_on(cleaned: Clean, rows: list[Row]) -> None:
    everything = [*rows, *enough(LABELS)]
    labels: dict[str, set[str]] = {}
    for row in everything:
        if row.text and row.label:
            labels.setdefault(normalize(row.text), set()).add(row.label)
    dataset = cleaned(everything)
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
        ([Row("new", "x" * 201)], "over-long label", 1),
    ],
)
def test_each_reason_to_drop_is_counted(cleaned: Clean, rows: list[Row], reason: str, count: int) -> None:
    assert cleaned([*rows, *enough()]).dropped == {reason: count}


def test_a_duplicate_of_a_conflict_leaves_nothing_of_either(cleaned: Clean) -> None:
    dataset = cleaned([Row("same", "a"), Row("same", "a"), Row("same", "b"), *enough()])
    assert sum(dataset.dropped.values()) == 3
    assert all(example.text != "same" for examples in dataset.splits.values() for example in examples)


@pytest.mark.parametrize(
    ("found", "mended"),
    [("schÃ¶n und grÃ¼n", "schön und grün"), ("it\u00e2\u20ac\u2122s good", "it\u2019s good"), ("a\x00b", "a b")],
)
def test_a_text_that_was_decoded_wrongly_is_mended_and_counted(cleaned: Clean, found: str, mended: str) -> None:
    dataset = cleaned([Row(found, "a"), *enough()])
    texts = {example.text for examples in dataset.splits.values() for example in examples}
    assert mended in texts
    assert dataset.mended == 1


def test_the_same_seed_gives_the_same_splits_and_another_gives_others(cleaned: Clean) -> None:
    rows = enough(each=50)
    first, again, other = (cleaned(rows, seed=seed) for seed in (1, 1, 2))
    assert list(first.splits["test"]) == list(again.splits["test"])
    assert first.findings == again.findings
    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint() != other.fingerprint()
    assert {example.text for example in first.splits["test"]} != {example.text for example in other.splits["test"]}


def test_splits_are_shuffled(cleaned: Clean) -> None:
    labels = [example.label for example in cleaned(enough(each=100)).splits["train"]]
    assert labels != sorted(labels)
    assert labels != sorted(labels, reverse=True)


def test_labels_are_sorted_or_as_they_are_named(cleaned: Clean) -> None:
    rows = enough(("1", "0"))
    assert cleaned(rows).labels == ["0", "1"]
    named = cleaned(rows, label_names={"1": "yes", "0": "no", "2": "unused"})
    assert named.labels == ["yes", "no"]
    yes = [e.text for examples in named.splits.values() for e in examples if e.label == 0]
    assert yes
    assert all(text.startswith("1 ") for text in yes)


def test_a_label_without_a_name_is_refused(cleaned: Clean) -> None:
    with pytest.raises(BuildError, match=r"'b'.*label_names"):
        cleaned(enough(), label_names={"a": "first"})


def test_one_label_only_is_refused_by_name(cleaned: Clean) -> None:
    with pytest.raises(BuildError, match="only the label 'a'"):
        cleaned(enough(("a",)))


def test_two_rows_of_a_label_are_too_few(cleaned: Clean) -> None:
    rows = [*enough(), Row("one", "rare"), Row("two", "rare"), Row("two!", "rare")]
    with pytest.raises(BuildError, match="'rare' has 2 usable rows"):
        cleaned(rows)


def test_no_usable_row_says_what_was_dropped(cleaned: Clean) -> None:
    with pytest.raises(BuildError, match="no usable row: 2 read; dropped: 1 malformed row, 1 missing label"):
        cleaned([Row(malformed=True), Row("x", None)])


@pytest.mark.parametrize("label", ["caf\ufffd", "\ud800good"])
def test_a_label_of_broken_encoding_is_dropped_like_a_text(cleaned: Clean, label: str) -> None:
    """It would be a class of its own, and a lone surrogate cannot even be written to the manifest."""
    rows = [*enough(), *(Row(f"other {i}", label) for i in range(5))]
    dataset = cleaned(rows)
    assert dataset.labels == ["a", "b"]
    assert dataset.dropped == {"broken encoding": 5}


def test_a_fingerprint_tells_texts_labels_and_splits_apart(cleaned: Clean) -> None:
    rows = enough()
    changed_text = [Row("other", "a"), *rows[1:]]
    changed_label = [Row(rows[0].text, "b"), *rows[1:]]
    prints = {cleaned(each).fingerprint() for each in (rows, changed_text, changed_label)}
    prints.add(cleaned(rows, label_names={"a": "x", "b": "y"}).fingerprint())
    assert len(prints) == 4


def test_ten_thousand_rows_are_cleaned_whatever_their_order(cleaned: Clean) -> None:
    rows = [Row(f"text {i % 4_000}", "ab"[i % 2]) for i in range(10_000)]
    counts = cleaned(rows)
    random.Random(0).shuffle(rows)
    shuffled = cleaned(rows)
    assert counts.dropped == shuffled.dropped == {"exact duplicate": 6_000}


def test_the_split_of_a_seed_is_the_one_that_published_numbers_were_measured_on(cleaned: Clean) -> None:
    """As ``random.sample`` has drawn it since the first version."""
    dataset = cleaned(enough(each=10), seed=7)
    assert [e.text for e in dataset.splits["test"]] == ["a base number 5", "b base number 0"]
    assert [e.text for e in dataset.splits["dev"]] == ["a base number 2", "b base number 1"]
    assert dataset.fingerprint() == "1d79a2ee4bc32f9dea6fa9175f064767d6c0a965df0787ec1a5ad24c079ac6b9"


def test_more_than_a_thousand_labels_are_refused(cleaned: Clean) -> None:
    def rows(labels: int) -> list[Row]:
        return [Row(f"{label} {i} {label * i}", f"label {label}") for label in range(labels) for i in range(1, 4)]

    assert len(cleaned(rows(1_000)).labels) == 1_000
    with pytest.raises(BuildError, match=r"more than 1,000 labels, such as 'label 1000'. Is 'label' the column"):
        cleaned(rows(1_001))


WORDS = ["".join(random.Random(i).choices("abcdefghij", k=7)) for i in range(200)]


def many(*labels: tuple[str, ...], each: int = 20) -> list[Row]:
    return [Row(f"{'+'.join(names)} text {i}", labels=names) for names in labels for i in range(each)]


def test_a_multi_label_task_keeps_sets_of_labels_and_texts_without_any(cleaned: Clean) -> None:
    dataset = cleaned(many(("b", "a"), ("c",), ()), task="multi-label")
    assert dataset.labels == ["a", "b", "c"]
    found = {e.text.split()[0]: e.labels for split in dataset.splits.values() for e in split}
    assert found == {"b+a": (0, 1), "c": (2,), "text": ()}
    assert dataset.splits["test"].targets().sum(axis=0).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("rows", "reason", "count"),
    [
        ([Row("same", labels=("a", "b")), Row("same", labels=("b", "a"))], "exact duplicate", 1),
        ([Row("same", labels=("a", "b")), Row("same", labels=("a",))], "conflicting labels", 2),
        ([Row("new", labels=None)], "missing label", 1),
        ([Row("new", labels=("a", "caf\ufffd"))], "broken encoding", 1),
    ],
)
def test_multi_label_rows_are_dropped_for_the_same_reasons(
    cleaned: Clean, rows: list[Row], reason: str, count: int
) -> None:
    assert cleaned([*rows, *many(("a",), ("b",))], task="multi-label").dropped == {reason: count}


def test_a_multi_label_task_without_a_label_is_refused(cleaned: Clean) -> None:
    with pytest.raises(BuildError, match="no label in any row"):
        cleaned(many(()), task="multi-label")


def test_slices_are_kept_with_their_texts(cleaned: Clean) -> None:
    rows = [Row(row.text, row.label, slices=(row.text[-1:] if row.text else "", "")) for row in enough()]
    dataset = cleaned(rows, slices=("last", "empty"))
    assert dataset.slices == ("last", "empty")
    assert all(e.slices == (e.text[-1], "") for split in dataset.splits.values() for e in split)


@pytest.mark.parametrize("strip", [True, False])
def test_html_is_counted_and_stripped_if_asked_for(cleaned: Clean, strip: bool) -> None:
    dataset = cleaned([Row("<p>good &amp; new</p>", "a"), Row("<br>", "a"), *enough()], strip_html=strip)
    texts = {e.text for split in dataset.splits.values() for e in split}
    assert ("good & new" in texts, "<p>good &amp; new</p>" in texts) == (strip, not strip)
    assert dataset.findings.html.count == 2
    assert dataset.dropped == ({"missing or empty text": 1} if strip else {})


TWINS = [
    Row(f"{'-'.join(random.Random(i // 2).sample(WORDS, 12))}{' again' * (i % 2)}", "ab"[i // 2 % 2]) for i in range(80)
]


def test_near_duplicates_across_splits_go_from_training_and_from_nowhere_else(cleaned: Clean) -> None:
    reported = cleaned(TWINS, near_duplicate_similarity=0.85)
    dropped = cleaned(TWINS, near_duplicate_similarity=0.85, near_duplicates="drop")
    alike = reported.findings.near_duplicates
    assert alike.training_texts == dropped.dropped["near duplicate"] > 0
    assert dropped.rows == kept(dropped) + sum(dropped.dropped.values())
    for name in ("dev", "test"):
        assert list(dropped.splits[name]) == list(reported.splits[name])
    left = list(dropped.splits["train"].texts())
    assert left == [text for text in reported.splits["train"].texts() if text in left]


def test_a_label_whose_training_texts_are_all_near_duplicates_is_refused(cleaned: Clean) -> None:
    alike = [Row(f"one and the same long text, the same but for its end {'z' * i}", "a") for i in range(5)]
    rows = [*enough(("b",)), *alike]
    with pytest.raises(BuildError, match=r"'a' has no training text.*near_duplicates"):
        cleaned(rows, near_duplicates="drop", near_duplicate_similarity=0.5)


def test_all_usable_texts_are_kept_in_order_if_nothing_is_to_be_split(tmp_path: Path) -> None:
    rows = [Row("one", "b"), Row("two", "a"), Row("ONE", "b"), Row("", "a")]
    labels, everything = keep_all(rows, config(label_names={"b": "B", "a": "A"}), tmp_path)
    assert [(e.text, labels[e.label]) for e in everything] == [("one", "B"), ("two", "A")]
    labels, nothing = keep_all([], config(), tmp_path)
    assert (labels, list(nothing)) == ([], [])


def test_a_directory_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match=r"file.texts\.arrow cannot be written"):
        clean(enough(), config(), tmp_path / "file")


def test_nothing_half_written_stays_when_reading_fails(tmp_path: Path) -> None:
    def broken() -> Iterator[Row]:
        yield from enough()
        raise BuildError("the file ends here")

    with pytest.raises(BuildError, match="ends here"):
        clean(broken(), config(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def anonymous_memory() -> int:
    """Bytes of this process that no file backs: what the system cannot take back."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


@contextmanager
def watched_memory() -> Iterator[list[int]]:
    """Samples of ``anonymous_memory``, fifty a second."""
    samples, done = [anonymous_memory()], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            samples.append(anonymous_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        done.set()
        watcher.join()


def test_two_hundred_thousand_rows_take_less_memory_than_their_texts(tmp_path: Path) -> None:
    """At the peak it is some 100 bytes a row and buffers of 10 MB; each of these texts takes 249."""
    count, chooser = 200_000, random.Random(0)
    clean(enough(), config(), tmp_path)  # what is loaded once
    with watched_memory() as samples:
        dataset = clean((Row(chooser.randbytes(100).hex(), "ab"[n % 2]) for n in range(count)), config(), tmp_path)
    assert kept(dataset) == count
    assert (max(samples) - samples[0]) / count < 200
