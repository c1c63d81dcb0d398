"""A mark and its results belong together, whoever else has left results of the same rows."""

import csv
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.batch import rendering
from slipway.batch.pieces import pieces_of

LINES = b'{"text": "good film"}\n{"text": 5}\n' * 5


def killed_before_its_mark(run: Any, monkeypatch: pytest.MonkeyPatch, old: bytes, new: bytes) -> None:
    """Score the first shard on another CPU, which writes ``new`` for ``old``, and die."""
    create = run.place.create

    def dies(name: str, body: bytes) -> bool:
        if "/done/" in name:
            raise KeyboardInterrupt
        made: bool = create(name, body)
        return made

    render, refuse = rendering.render, rendering.render_error
    with monkeypatch.context() as patch:
        patch.setattr(run.place, "create", dies)
        patch.setattr(rendering, "render", lambda *row: render(*row).replace(old, new))
        patch.setattr(rendering, "render_error", lambda row: refuse(row).replace(old, new))
        with pytest.raises(KeyboardInterrupt):
            run.score(run.shards()[0])


@pytest.mark.parametrize("old", [b'"score": 0.', b'"row": '], ids=["results", "errors"])
def test_what_another_cpu_left_without_a_mark_does_not_count(
    batch: Any, monkeypatch: pytest.MonkeyPatch, old: bytes
) -> None:
    whole, run = (batch("x.jsonl", LINES) for _ in range(2))
    whole.all()
    run.plan()
    killed_before_its_mark(run, monkeypatch, old, old + b"0")
    assert run.score(run.shards()[0])
    run.finish()
    assert run.results() == whole.results()
    assert run.errors() == whole.errors()


def test_the_same_bytes_are_written_once(batch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = batch("x.jsonl", LINES)
    run.plan()
    killed_before_its_mark(run, monkeypatch, b"", b"")
    left = [*run.place.names()]
    assert run.score(run.shards()[0])
    (mark,) = {*run.place.names()} - {*left}
    assert "/done/" in mark
    before = {name: run.place.read(name) for name in run.place.names()}
    assert run.score(run.shards()[0]), "a mark is found"
    assert {name: run.place.read(name) for name in run.place.names()} == before


def test_marks_of_an_older_release_have_names_without_digests(batch: Any) -> None:
    run = batch("x.jsonl", LINES)
    plan = run.plan()
    run.score(run.shards()[0])
    (done,) = pieces_of(plan, 0, run.place)
    for name in [*run.place.names(run.job.folder)]:
        if done.digest in name:
            path = run.place.root / name
            path.rename(path.with_name(path.name.replace(f"-{done.digest}", "").replace(f"{done.digest}-", "")))
    mark = run.place.root / run.job.folder / "done" / "000000-000000.json"
    old = json.loads(mark.read_bytes())
    del old["digest"]
    mark.write_text(json.dumps(old))
    assert run.finish()["rows"] == 10
    assert len(run.errors()) == 5


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_file_with_our_columns_under_both_names_keeps_them(batch: Any, kind: str) -> None:
    theirs = {"text": "good film", "label": "mine", "slipway_label": "theirs"}
    made = io.BytesIO()
    schema = pa.schema([(name, pa.string()) for name in theirs], {"made": "here"})
    pq.write_table(pa.table({name: [value] for name, value in theirs.items()}, schema=schema), made)
    data = {
        "csv": ",".join(theirs).encode() + b"\n" + ",".join(theirs.values()).encode() + b"\n",
        "jsonl": json.dumps(theirs).encode(),
        "parquet": made.getvalue(),
    }
    run = batch(f"x.{kind}", data[kind])
    document = run.all()
    ours = ["slipway_slipway_label", "slipway_slipway_score", "slipway_slipway_model_version"]
    assert document["columns"] == ours
    row = read(kind, run.results())
    assert [*row] == [*theirs, *ours]
    assert {name: row[name] for name in theirs} == theirs
    assert row["slipway_slipway_label"] in ("positive", "negative")


def read(kind: str, data: bytes) -> dict[str, Any]:
    if kind == "csv":
        head, row = csv.reader(io.StringIO(data.decode()))
        return dict(zip(head, row, strict=True))
    if kind == "jsonl":
        pairs: list[tuple[str, Any]] = json.loads(data, object_pairs_hook=list)
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)
    table = pq.read_table(io.BytesIO(data))
    assert table.schema.metadata[b"made"] == b"here"
    (row,) = table.to_pylist()
    return dict(row)
