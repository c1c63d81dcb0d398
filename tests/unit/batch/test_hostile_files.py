"""Files that are made to harm: what unfolds to gigabytes, what nests without end, what says other than it holds."""

import gzip
import io
import json
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from slipway.batch import parquet
from slipway.batch.formats import HEAD, decompress_head, sniff
from slipway.batch.job import Job, Request, model_of
from slipway.batch.planning import plan
from slipway.batch.rows import rows_of
from slipway.errors import BatchError
from tests.fuzz.files import Content, Held, read_file, shards

DEEP = "[" * 100_000


def zstd_bomb(megabytes: int) -> bytes:
    made = io.BytesIO()
    with zstandard.ZstdCompressor(level=3).stream_writer(made, closefd=False) as writer:
        for _ in range(megabytes):
            writer.write(b"a" * (1 << 20))
    return made.getvalue()


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_head_that_unfolds_to_hundreds_of_megabytes_is_not_unfolded(kind: str) -> None:
    bomb = zstd_bomb(400) if kind == "zstd" else gzip.compress(b"a" * (300 << 20), 9)
    tracemalloc.start()
    head = decompress_head(bomb[:HEAD], kind)  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(head) == HEAD
    assert peak < 16 * HEAD


@pytest.mark.parametrize("name", ["line.txt.gz", "line.jsonl.zst"])
def test_one_endless_line_out_of_a_small_file_is_refused_in_bounded_memory(name: str) -> None:
    bomb = zstd_bomb(200) if name.endswith("zst") else gzip.compress(b"a" * (200 << 20), 1)
    held = Held(bomb)
    tracemalloc.start()
    with pytest.raises(BatchError, match="longer than 64 MB"):
        plan(_job(name, held), Content(held), held)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 400 << 20, "the line is held while it is looked for, and not the file"


@pytest.mark.parametrize("row", [DEEP, '{"text": ' + DEEP, '{"text": "x", "n": ' + "9" * 5_000 + "}"])
def test_json_without_end_costs_its_row_only(row: str) -> None:
    lines = f'{{"text": "a"}}\n{row}\n{{"text": "b"}}\n'.encode()
    found = list(rows_of(lines, sniff("x.jsonl", lines), "text", first_row=1))
    assert [bool(row.text) for row in found] == [True, False, True]
    assert "have no end" in found[1].reason


def test_nan_infinity_and_a_member_twice_are_read_as_python_does() -> None:
    lines = b'{"text": NaN}\n{"text": "x", "n": Infinity}\n{"text": 1, "text": "last"}\n'
    found = list(rows_of(lines, sniff("x.jsonl", lines), "text", first_row=1))
    assert [row.text for row in found] == [None, "x", "last"]


@pytest.mark.parametrize("raw", [DEEP.encode(), b'{"top_k": ' + b"9" * 5_000 + b"}", b'{"abstain_below": NaN}'])
def test_a_sidecar_without_end_is_refused_in_words(raw: bytes) -> None:
    with pytest.raises(BatchError, match=r"x\.csv\.slipway\.json"):
        Request.from_json(raw, source="x.csv.slipway.json")


def test_parquet_strings_that_are_not_utf8_cost_their_rows_only() -> None:
    broken = pa.array([b"good", b"\xff\xfe", b"", b"fine"]).cast(pa.string(), safe=False)
    other = pa.array([b"x", b"y", b"\xfe", b"z"]).cast(pa.string(), safe=False)
    file = io.BytesIO()
    pq.write_table(pa.table({"text": broken, "other": other}), file)
    held = Held(file.getvalue())
    made = plan(_job("rows.parquet", held), Content(held), held)
    (shard,) = shards(made, held)
    (batch,) = parquet.batches("rows.parquet", Content(held), shard, 1_024, 0)
    found = list(parquet.rows_of(batch, "text", first_row=1))
    assert [row.text for row in found] == ["good", None, None, "fine"]
    assert found[1].reason == "text is not UTF-8."
    assert json.loads(found[2].raw)["other"] == "\ufffd"


@pytest.mark.parametrize("at", range(4, 200, 13))
def test_parquet_that_was_changed_anywhere_is_refused_or_read(at: int) -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": ["a lovely film", "a dull film"] * 50}), file)
    content = bytearray(file.getvalue())
    content[at] ^= 0xFF
    read_file(bytes([5]) + bytes(content))  # 5 is the name rows.parquet


@pytest.mark.parametrize("footer", [b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0"])
def test_a_parquet_footer_of_a_length_that_cannot_be_is_refused(footer: bytes) -> None:
    held = Held(b"PAR1" + b"\0" * 64 + footer + b"PAR1")
    with pytest.raises(BatchError, match="no whole Parquet"):
        plan(_job("rows.parquet", held), Content(held), held)


@pytest.mark.parametrize(
    ("key", "model"),
    [
        ("inbox/demo/../other/x.csv", "demo"),  # S3 has no folders: it is a file of demo's, whatever it is called
        ("inbox/../demo/x.csv", ".."),
        ("inbox/..%2fdemo/x.csv", "..%2fdemo"),
        ("../inbox/demo/x.csv", ""),
        ("inbox//demo/x.csv", ""),
        ("inbox/demo/" + "a/" * 400, ""),
    ],
)
def test_a_key_cannot_pass_for_another_model_s(key: str, model: str) -> None:
    assert model_of(key) == model


def _job(name: str, held: Held) -> Job:
    return Job(model="demo", model_version="v", bucket="b", key=f"inbox/demo/{name}", size=held.size, etag="e")
