"""Parts of a split: by length, language and column; small ones together."""

import json

import numpy as np

from model_build.evaluation.slices import MISSING, OTHER, language_names, length_names, slices

ENGLISH = ["This is a very good film and I liked it", "The plot was dull and the acting was poor"]
GERMAN = ["Das ist ein sehr guter Film und er hat mir gefallen", "Die Handlung war langweilig und schlecht gespielt"]


def rows_of(column: str, values: list[str], right: list[bool] | None = None) -> list[dict[str, object]]:
    flags = np.array(right if right is not None else [True] * len(values))
    found = slices(flags, ["text"] * len(values), [3] * len(values), {column: values})
    return [row for row in found if row["column"] == column]


def test_a_column_is_told_value_by_value_with_its_interval() -> None:
    first, second = rows_of("source", ["b"] * 20 + ["a"] * 10, [True] * 15 + [False] * 5 + [True] * 10)
    assert (first["value"], first["texts"], first["accuracy"]) == ("a", 10, 1.0)
    assert (second["value"], second["texts"], second["accuracy"]) == ("b", 20, 0.75)
    low, high = second["interval"]  # type: ignore[misc]
    assert low < 0.75 < high  # type: ignore[has-type]


def test_small_slices_are_merged_and_come_last() -> None:
    rows = rows_of("source", ["z"] * 12 + ["a"] * 9 + ["b"])
    assert [(row["value"], row["texts"]) for row in rows] == [("z", 12), (OTHER, 10)]


def test_the_ten_most_frequent_values_are_told() -> None:
    values = [f"v{i:02}" for i in range(14) for _ in range(10 + i)]
    rows = rows_of("source", values)
    assert [row["value"] for row in rows] == [*(f"v{i:02}" for i in range(4, 14)), OTHER]
    assert sum(int(str(row["texts"])) for row in rows) == len(values)


def test_texts_without_a_value_are_a_slice_of_their_own() -> None:
    assert [row["value"] for row in rows_of("source", ["a"] * 10 + [""] * 10)] == ["a", MISSING]


def test_lengths_are_cut_into_quarters_in_their_order() -> None:
    tokens = list(range(3, 103))
    rows = [row for row in slices(np.ones(100, bool), ["text"] * 100, tokens, {}) if row["column"] == "length"]
    assert [row["value"] for row in rows] == [
        "3 to 27 tokens",
        "28 to 52 tokens",
        "53 to 77 tokens",
        "78 to 102 tokens",
    ]
    assert [row["texts"] for row in rows] == [25] * 4


def test_texts_of_one_length_are_one_slice() -> None:
    assert set(length_names([7] * 40)) == {"7 tokens"}
    assert length_names([7]) == ["7 tokens"]


def test_languages_are_told_only_where_there_are_several() -> None:
    assert language_names(ENGLISH * 20) == []
    assert language_names(ENGLISH * 20 + GERMAN * 4) == []
    names = language_names(ENGLISH * 5 + GERMAN * 5)
    assert (names[0], names[-1]) == ("en", "de")
    texts = ENGLISH * 10 + GERMAN * 10
    found = slices(np.ones(40, bool), texts, [5] * 40, {})
    languages = {row["value"] for row in found if row["column"] == "detected language"}
    assert {"en", "de"} <= languages


def test_one_text_has_slices_that_json_can_hold() -> None:
    found = slices(np.array([False]), ["x"], [3], {"source": ["a"]})
    assert [row["accuracy"] for row in found] == [0, 0]
    json.dumps(found, allow_nan=False)
