"""A file to its results: every row comes back, scored or refused with a reason, in its order and format."""

import csv
import gzip
import io
import json
import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from slipway.batch import cutting, planning, scoring
from slipway.errors import BatchError
from slipway.predictor import Predictor
from slipway.requests import Parameters

TEXTS = [
    f"the {word} film, {'very ' * (row % 7)}\n“filler{row}” 🎉" for row, word in enumerate(["superb", "awful"] * 60)
]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "SHARD_ROWS", 25)
    monkeypatch.setattr("slipway.batch.streams.PART", 512)
    monkeypatch.setattr("slipway.batch.sources.CHUNK", 512)
    monkeypatch.setattr(scoring, "WINDOW", 8)


def jsonl(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def table(rows: list[list[Any]], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue().encode()


def csv_rows(data: bytes, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))


def expected(predictor: Predictor, texts: list[str]) -> list[tuple[str, float]]:
    labels = predictor.manifest.labels
    found = predictor.predict(texts)
    return [(labels[int(p.probabilities.argmax())], float(p.probabilities.max())) for p in found]


def assert_scored(predictor: Predictor, texts: list[str], labels: list[str], scores: list[float]) -> None:
    for (label, score), got, number in zip(expected(predictor, texts), labels, scores, strict=True):
        assert got == label
        assert number == pytest.approx(score, abs=1e-5)


def test_csv_keeps_columns_order_quotes_and_newlines(batch: Any, predictor: Predictor) -> None:
    source = table([["id", "text"], *([row, text] for row, text in enumerate(TEXTS))])
    run = batch("a film list.csv", source)
    document = run.all()
    rows = csv_rows(run.results())
    assert [row["id"] for row in rows] == [str(row) for row in range(len(TEXTS))]
    assert [row["text"] for row in rows] == TEXTS
    assert list(rows[0]) == ["id", "text", "label", "score", "model_version"]
    assert_scored(predictor, TEXTS, [row["label"] for row in rows], [float(row["score"]) for row in rows])
    assert (document["rows"], document["scored"], document["errors"]) == (120, 120, 0)
    assert document["labels"] == {label: sum(row["label"] == label for row in rows) for label in document["labels"]}
    assert len(document["shards"]) >= 5
    assert document["results"][0]["key"] == "outbox/demo/a film list.csv/a film list.scored.csv"


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters(batch: Any, delimiter: str) -> None:
    run = batch("x.csv", table([["text", "n"], *([text, 1] for text in TEXTS)], delimiter))
    run.all()
    assert [row["text"] for row in csv_rows(run.results(), delimiter)] == TEXTS


def test_json_lines_keep_their_fields_as_they_were(batch: Any, predictor: Predictor) -> None:
    lines = [f'{{ "text": {json.dumps(text)}, "n":1.50 , "deep": {{"a": [1, 2]}} }}' for text in TEXTS]
    run = batch("x.jsonl", "\n".join(lines).encode())
    run.all()
    found = run.results().decode().splitlines()
    assert all(line.startswith(before[:-1].rstrip()) for line, before in zip(found, lines, strict=True))
    rows = [json.loads(line) for line in found]
    assert [row["text"] for row in rows] == TEXTS
    assert_scored(predictor, TEXTS, [row["label"] for row in rows], [row["score"] for row in rows])
    assert {row["model_version"] for row in rows} == {predictor.manifest.version}


def test_plain_text_has_a_row_a_line(batch: Any, predictor: Predictor) -> None:
    texts = [text.replace("\n", "\t") for text in TEXTS]
    run = batch("x.txt", "\r\n".join([*texts[:60], "", *texts[60:]]).encode())
    document = run.all()
    rows = [line.split("\t", 3) for line in run.results().decode().splitlines()]
    assert [row[3] for row in rows] == texts
    assert_scored(predictor, texts, [row[0] for row in rows], [float(row[1]) for row in rows])
    assert (document["rows"], [error["row"] for error in run.errors()]) == (121, [61])


def test_parquet_keeps_its_columns_and_types(batch: Any, predictor: Predictor) -> None:
    made = pa.table({"when": pa.array(range(120), pa.timestamp("ms")), "text": [None, *TEXTS[1:]]})
    file = io.BytesIO()
    pq.write_table(made, file, row_group_size=50)
    run = batch("x.parquet", file.getvalue())
    document = run.all()
    found = pq.read_table(io.BytesIO(run.results()))
    assert found.schema.names == ["when", "text", "label", "score", "model_version"]
    assert found.schema.field("when").type == pa.timestamp("ms")
    assert found["text"].to_pylist() == TEXTS[1:]
    assert_scored(predictor, TEXTS[1:], found["label"].to_pylist(), found["score"].to_pylist())
    assert (document["rows"], document["errors"], run.errors()[0]["row"]) == (120, 1, 1)
    assert json.loads(run.errors()[0]["raw"])["when"].startswith("1970")


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("x.jsonl.gz", gzip.compress),
        ("x.jsonl.gz", lambda data: gzip.compress(data[:500]) + gzip.compress(data[500:])),
        ("x.jsonl.zst", zstandard.compress),
        ("x.jsonl.zst", lambda data: zstandard.compress(data[:500]) + zstandard.compress(data[500:])),
        ("x.jsonl", lambda data: b"\xef\xbb\xbf" + data),
        ("x.jsonl", lambda data: data.decode().encode("utf-16")),
        ("x.jsonl", lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be")),
        ("x.jsonl.gz", lambda data: gzip.compress(data.decode().encode("utf-16"))),
    ],
    ids=["gzip", "gzip members", "zstd", "zstd frames", "bom", "utf-16-le", "utf-16-be", "utf-16 in gzip"],
)
def test_whatever_it_is_packed_in_the_results_are_the_same(batch: Any, name: str, pack: Any) -> None:
    data = jsonl([{"text": text} for text in TEXTS])
    plain = batch("x.jsonl", data)
    plain.all()
    packed = batch(name, pack(data))
    assert packed.all()["rows"] == len(TEXTS)
    assert packed.results() == plain.results()


BROKEN: list[tuple[bytes, str]] = [
    (b'{"text": "cut off', "not JSON"),
    (b"[1, 2]", "must be a JSON object"),
    (b'{"text": 5}', "must be a text"),
    (b'{"txt": "a film"}', "no 'text'"),
    (b'{"text": null}', "must be a text"),
    (b'{"text": "  "}', "is empty"),
    (b'{"text": "a\\u0000film"}', "NUL"),
    (b'{"text": "half \\ud83d"}', "surrogate"),
    (b'{"text": "\xff\xfe"}', "not UTF-8"),
    (b'{"text": "' + b"x" * 1_000_000 + b'"}', "bytes"),
    (b"[" * 100_000, "no end"),
    (b'{"text": "' + b"x" * 3_000_000 + b'"}', "bytes"),
]


def test_a_broken_row_costs_only_itself(batch: Any, predictor: Predictor) -> None:
    lines = [json.dumps({"text": text}).encode() for text in TEXTS]
    rng = random.Random(5)
    places = sorted(rng.sample(range(len(lines)), len(BROKEN)))
    for place, (line, _) in zip(places, BROKEN, strict=True):
        lines[place] = line
    run = batch("x.jsonl", b"\n".join(lines))
    document = run.all()
    assert (document["rows"], document["scored"], document["errors"]) == (120, 120 - len(BROKEN), len(BROKEN))
    for error, place, (line, reason) in zip(run.errors(), places, BROKEN, strict=True):
        assert error["row"] == place + 1
        assert reason in error["reason"], error["reason"]
        assert "raw_base64" in error or line.decode().startswith(error["raw"])
    left = [text for row, text in enumerate(TEXTS) if row not in places]
    rows = [json.loads(line) for line in run.results().splitlines()]
    assert_scored(predictor, left, [row["label"] for row in rows], [row["score"] for row in rows])


def test_a_csv_row_of_another_width_or_a_stray_quote_costs_only_itself(batch: Any) -> None:
    body = b'text,n\ngood film,1\ngood,film,1\nfilm\n\n5" screen film,2\n"open film,3\nbad \xff film,4\n\0,5\n'
    run = batch("x.csv", body)
    document = run.all()
    assert [error["row"] for error in run.errors()] == [2, 3, 5, 6, 7]
    assert document["rows"] == 7
    assert "3 columns, the header has 2" in run.errors()[0]["reason"]
    assert "never closed" in run.errors()[2]["reason"]


def test_a_column_of_ours_that_the_file_has_is_kept_and_ours_are_called_otherwise(batch: Any) -> None:
    for name, data in (
        ("x.csv", table([["text", "label"], *([text, "mine"] for text in TEXTS)])),
        ("x.jsonl", jsonl([{"text": text, "label": "mine"} for text in TEXTS])),
    ):
        run = batch(name, data)
        run.all()
        rows = csv_rows(run.results()) if name == "x.csv" else [json.loads(line) for line in run.results().splitlines()]
        assert {row["label"] for row in rows} == {"mine"}
        assert {row["slipway_label"] for row in rows} == {"negative", "positive"}
        assert list(rows[0]) == ["text", "label", "slipway_label", "slipway_score", "slipway_model_version"]


def test_parameters_are_those_of_http(batch: Any, predictor: Predictor) -> None:
    data = table([["review"], *([text] for text in TEXTS), ["film " * 100]])
    parameters = Parameters(top_k=1, abstain_below=0.999999, truncation="error")
    run = batch("x.csv", data, text_column="review", parameters=parameters)
    document = run.all()
    (error,) = run.errors()
    assert "102 tokens" in error["reason"]
    rows = csv_rows(run.results())
    assert all(len(json.loads(row["scores"])) == 1 for row in rows)
    assert document["abstained"] == sum(row["label"] == "" for row in rows) > 0
    assert sum(document["labels"].values()) + document["abstained"] == document["scored"]


def test_interrupted_anywhere_the_same_bytes_come_out(batch: Any) -> None:
    data = table([["text"], *([text] for text in TEXTS)])
    whole = batch("x.csv", data)
    whole.all()
    run = batch("x.csv", data)
    run.plan()
    steps = 0
    for shard in run.shards():
        while not run.score(shard, time_left=lambda: 0.0):  # one window at a time
            steps += 1
    assert steps >= 10
    run.finish()
    assert run.results() == whole.results()
    before = {name: run.place.read(name) for name in run.place.names()}
    for shard in run.shards():
        assert run.score(shard)
    assert {name: run.place.read(name) for name in run.place.names()} == before


def test_what_is_not_whole_is_not_published(batch: Any) -> None:
    run = batch("x.csv", table([["text"], *([text] for text in TEXTS)]))
    run.plan()
    for shard in run.shards()[:-1]:
        run.score(shard)
    with pytest.raises(BatchError, match="is not finished: 4 of 5 shards and 100 of 120 rows"):
        run.finish()
    assert not list(run.place.names("outbox/"))


def test_large_jobs_stay_in_parts_each_of_which_is_a_file(batch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "JOINED_BYTES", 100)
    run = batch("x.csv", table([["text"], *([text] for text in TEXTS)]))
    document = run.all()
    texts = []
    for result in document["results"]:
        rows = csv_rows(run.place.read(result["key"])[0])
        assert len(rows) == result["rows"]
        assert list(rows[0]) == ["text", "label", "score", "model_version"]
        texts += [row["text"] for row in rows]
    assert texts == TEXTS
    assert len(document["results"]) == len(document["shards"]) > 1


@pytest.mark.parametrize("limit", [100, 1 << 30], ids=["in parts", "joined"])
def test_a_file_that_replaces_another_of_its_name_has_results_of_its_own(
    batch: Any, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(planning, "JOINED_BYTES", limit)
    first, second = (batch("x.txt", "\n".join(lines).encode()) for lines in (["old"] * 60, ["new"] * 60))
    second.place = first.place
    first.all()
    second.all()
    assert {line.split("\t")[3] for line in second.results().decode().splitlines()} == {"new"}


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("x.csv", b"", "empty"),
        ("x.csv", b"\n \n", "nothing but blanks"),
        ("x.csv", b"text\n", "no rows"),
        ("x.csv", b"id,body\n1,a film\n", "no column 'text'; it has 'id', 'body'"),
        ("x.csv", "text\né\nè\n".encode("latin-1"), "not UTF-8"),
        ("x.csv", "text\nfilm\n".encode("utf-16-le"), "UTF-16 without"),
        ("x.json", b'[{"text": "a"}]', "one JSON array"),
        ("x.xlsx", b"PK\x03\x04" + bytes(50), "Excel"),
        ("x.parquet", b"PAR1" + bytes(50), "no whole Parquet"),
        ("x.parquet", b"text\nfilm\n", "no Parquet"),
        ("x.jsonl.gz", gzip.compress(jsonl([{"text": "film"}] * 9000))[:-40], "damaged gzip"),
        ("x.jsonl.gz", gzip.compress(gzip.compress(b"x" * 99)), "compressed twice"),
        ("x.jsonl.zst", zstandard.compress(jsonl([{"text": "film"}] * 9))[:20], ""),
    ],
    ids=range(13),
)
def test_a_file_that_cannot_be_scored_says_why(batch: Any, name: str, data: bytes, reason: str) -> None:
    with pytest.raises(BatchError) as caught:
        batch(name, data).all()
    assert reason in str(caught.value)
