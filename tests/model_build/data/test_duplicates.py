"""Duplicates by sorting: the same verdicts as looking at one row after another."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model_build.data.duplicates import REASONS, find_duplicates

ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 2)), max_size=40)


def one_after_another(rows: list[tuple[int, int, int]]) -> list[str]:
    """(form, text, label) to why each goes, as a person would do it."""
    reasons = [""] * len(rows)
    first: dict[int, int] = {}
    conflicts: set[int] = set()
    for place, (form, text, label) in enumerate(rows):
        kept = first.setdefault(form, place)
        if form in conflicts or rows[kept][2] != label:
            conflicts.add(form)
            reasons[kept] = reasons[place] = "conflicting labels"
        elif kept != place:
            reasons[place] = "exact duplicate" if rows[kept][1] == text else "normalized duplicate"
    return reasons


@given(ROWS)
def test_sorting_finds_what_looking_at_one_row_after_another_finds(rows: list[tuple[int, int, int]]) -> None:
    forms = np.array([(form % 2, form) for form, _, _ in rows], np.uint64).reshape(-1, 2)
    texts = np.array([form * 2 + text for form, text, _ in rows], np.uint64)
    found = find_duplicates(forms, texts, np.array([label for _, _, label in rows], np.int64))
    expected = one_after_another(rows)
    assert found.gone.tolist() == [place for place, reason in enumerate(expected) if reason]
    assert [REASONS[reason] for reason in found.reasons] == [reason for reason in expected if reason]
    assert found.kept.tolist() == [place for place, reason in enumerate(expected) if not reason]
    assert sum(found.counts().values()) == len(rows) - len(found.kept)
    everything = [form for form, _, _ in rows]
    assert found.firsts.tolist() == [everything.index(everything[place]) for place in found.gone]
