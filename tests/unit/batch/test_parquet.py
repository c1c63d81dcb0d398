"""Results in Parquet are files that can be read, also where no row was scored."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.batch import parquet, planning
from slipway.requests import Parameters

OURS = {"label": pa.string(), "score": pa.float64(), "model_version": pa.string()}


def film_file(texts: list[str | None], **options: Any) -> bytes:
    file = io.BytesIO()
    table = pa.table({
        "text": pa.array(texts, pa.string()).dictionary_encode(),
        "when": pa.array(range(len(texts)), pa.timestamp("ms")),
    })  # fmt: skip
    pq.write_table(table, file, **options)
    return file.getvalue()


@pytest.mark.parametrize("limit", [0, 1 << 30], ids=["in parts", "joined"])
def test_a_file_of_broken_rows_becomes_an_empty_file_with_its_columns_and_ours(
    batch: Any, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(planning, "JOINED_BYTES", limit)
    scored, run = batch("x.parquet", film_file(["a film"])), batch("x.parquet", film_file([None, "", " "]))
    scored.all()
    document = run.all()
    assert (document["rows"], document["scored"], len(run.errors())) == (3, 0, 3)
    assert document["results"][0]["bytes"] == len(run.results()) > 0
    found = pq.read_table(io.BytesIO(run.results()))
    assert len(found) == 0
    assert found.schema == pq.read_table(io.BytesIO(scored.results())).schema
    assert {name: found.schema.field(name).type for name in OURS} == OURS


def test_the_columns_that_were_asked_for_are_there(batch: Any) -> None:
    run = batch("x.parquet", film_file([None]), parameters=Parameters(top_k=1))
    run.all()
    assert pq.read_schema(io.BytesIO(run.results())).names == [
        "text",
        "when",
        "label",
        "score",
        "scores",
        "model_version",
    ]


def test_shards_of_broken_rows_among_others_leave_nothing(batch: Any) -> None:
    texts = [None] * 10 + ["a film"] * 10 + [None] * 10 + ["a film"] * 10
    run = batch("x.parquet", film_file(texts, row_group_size=10))
    document = run.all()
    assert (document["scored"], document["errors"]) == (20, 20)
    found = pq.ParquetFile(io.BytesIO(run.results()))
    assert [found.metadata.row_group(group).num_rows for group in range(found.num_row_groups)] == [10, 10]


def test_pieces_of_nothing_that_an_earlier_version_left_are_passed_over(batch: Any) -> None:
    run = batch("x.parquet", film_file(["a film"]))
    run.all()
    assert len(pq.read_table(io.BytesIO(b"".join(parquet.joined([b"", run.results()]))))) == 1
