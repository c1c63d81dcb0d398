"""What is written of a row and its answer is what csv and json would write of it."""

import csv
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.answers import Answer, answer
from slipway.artifact import Task
from slipway.batch import rendering
from slipway.batch.formats import Format
from slipway.batch.rows import Row
from slipway.predictor import Prediction, Predictor
from slipway.requests import Parameters

_words = st.text(st.sampled_from('ab,;|"\r\n\t é🎉\0'), max_size=6)
_scores = st.one_of(st.sampled_from([0.5, 0.0000005, 0.1234565, -0.0]), st.floats())
_answers = st.builds(
    Answer,
    st.none() | _words,
    _scores,
    st.lists(st.tuples(_words, _scores), max_size=4),
    st.none(),
    st.just(3),
    st.booleans(),
)
_ends = st.sampled_from([b"\n", b"\r\n", b"\r", b""])
NAMES = ["label", "score", "model_version"]


def expected(found: Answer, version: str, names: list[str]) -> dict[str, Any]:
    scores = {label: round(score, 6) for label, score in found.scores}
    made = {"label": found.label, "score": round(found.score, 6), "scores": scores, "model_version": version}
    return {name: made[name.replace("slipway_", "")] for name in names}


def cell(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:.6f}" if isinstance(value, float) else value or ""


def names_of(top_k: bool, prefix: str) -> list[str]:
    return [prefix + name for name in (["label", "score", "scores", "model_version"] if top_k else NAMES)]


@settings(max_examples=300, deadline=None)
@given(
    found=_answers,
    version=st.sampled_from(["v1", 'v,"1']),
    names=st.builds(names_of, st.booleans(), st.sampled_from(["", "slipway_", "slipway_slipway_"])),
    delimiter=st.sampled_from(",;\t|"),
    end=_ends,
)
def test_results_are_what_python_writes(
    found: Answer, version: str, names: list[str], delimiter: str, end: bytes
) -> None:
    ours = expected(found, version, names)
    added = rendering.values(found, version, names)
    assert repr({name: rendering.flat(value) for name, value in added.items()}) == repr(
        {name: cell(value) if isinstance(value, dict) else value for name, value in ours.items()}
    )
    row = Row(1, b"a,b", end, "a")
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow([cell(value) for value in ours.values()])
    table = Format(kind="csv", delimiter=delimiter)
    assert rendering.render(row, added, table) == b"a,b" + (delimiter + line.getvalue()).encode() + (end or b"\n")
    tabs = "\t".join(cell(value) for value in ours.values())
    assert rendering.render(row, added, Format(kind="text")) == tabs.encode() + b"\ta,b\n"


@settings(max_examples=100, deadline=None)
@given(found=_answers, names=st.builds(names_of, st.booleans(), st.just("")), text=_words)
def test_json_lines_are_what_python_writes(found: Answer, names: list[str], text: str) -> None:
    ours, added = expected(found, "v1", names), rendering.values(found, "v1", names)
    for content, before in (
        (text, {"text": text}),  # a line that is a bare JSON text
        ({"text": text, "n": 1}, {"text": text, "n": 1}),
    ):
        row = Row(1, json.dumps(content, ensure_ascii=False).encode() + b" ", b"\n", text, "", content)
        line = json.dumps({**before, **ours}, ensure_ascii=False).encode() + b"\n"
        assert rendering.render(row, added, Format(kind="jsonl")) == line


_chances = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=5)


@settings(max_examples=200, deadline=None)
@given(
    chances=_chances,
    task=st.sampled_from(["single-label", "multi-label"]),
    raw=st.booleans(),
    least=st.sampled_from([0.0, 0.5, 0.9]),
)
def test_without_a_ranking_label_and_score_are_the_same(
    predictor: Predictor, chances: list[float], task: Task, raw: bool, least: float
) -> None:
    manifest = replace(predictor.manifest, task=task, labels=[f"label {at}" for at in range(len(chances))])
    prediction = Prediction(np.arange(len(chances), dtype=np.float32), np.array(chances, np.float32), 3, False)
    parameters = Parameters(raw_scores=raw, abstain_below=least)
    (ranked,) = answer([prediction], manifest, parameters)
    (found,) = answer([prediction], manifest, parameters, ranked=False)
    assert found == ranked._replace(scores=found.scores)
    assert rendering.values(found, "v1", NAMES) == rendering.values(ranked, "v1", NAMES)


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_header_names_all_columns(delimiter: str) -> None:
    found = Format(kind="csv", delimiter=delimiter, columns=("a,b", "text"))
    (names,) = csv.reader([rendering.header(found, NAMES).decode()], delimiter=delimiter)
    assert names == ["a,b", "text", *NAMES]
