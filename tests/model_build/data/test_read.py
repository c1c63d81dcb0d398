"""Labelled text in: every format, whatever is in it, a row at a time."""

import codecs
import gzip
import json
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_build.data.read import Row, read_rows, read_texts
from model_build.sections import DataConfig
from slipway.errors import BuildError

HARD = 'Über \u4e2d\u6587 \U0001f469\U0001f3fd\u200d\U0001f680, "quoted",\nsecond line'


def rows_of(path: Path, **options: Any) -> list[Row]:
    return list(read_rows(DataConfig(path=str(path), **options)))


def rows_or_refusal(path: Path) -> list[Row] | str:
    try:
        return rows_of(path)
    except BuildError as error:
        return str(error)


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def test_csv_keeps_quoted_newlines_quotes_and_emoji(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", f"id,text,label\r\n1,{quoted(HARD)},good\r\n2,plain,bad\r\n")
    assert rows_of(path) == [Row(HARD, "good"), Row("plain", "bad")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_an_encoding_is_known_by_its_mark(tmp_path: Path, encoding: str, ending: str) -> None:
    csv = f"text,label\n{quoted(HARD)},good\n"
    lines = json.dumps({"text": HARD, "label": "good"}, ensure_ascii=False) + "\n"
    raw = (csv if ending == "csv" else lines).encode(encoding)
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    assert rows_of(write(tmp_path, f"a.{ending}", mark + raw)) == [Row(HARD, "good")]


def test_bytes_that_are_no_text_are_marked_and_the_others_stay(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b"text,label\ncaf\xe9,good\nfine,bad\n")
    assert rows_of(path) == [Row("caf\ufffd", "good"), Row("fine", "bad")]


def test_csv_with_nul_bytes_is_read(tmp_path: Path) -> None:
    assert rows_of(write(tmp_path, "a.csv", b"text,label\na\x00b,good\n")) == [Row("a\x00b", "good")]


def test_a_row_with_too_many_cells_is_malformed_and_one_with_too_few_lacks_its_label(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text,label\nnot quoted, so three,good\nonly text\n\nfine,bad\n")
    assert rows_of(path) == [Row(malformed=True), Row("only text"), Row("fine", "bad")]


def test_an_unclosed_quote_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\nfine,good\n"never closed,bad\n')
    with pytest.raises(BuildError, match=r"a\.csv, line \d+.*RFC 4180"):
        rows_of(path)


def test_a_huge_field_is_read(tmp_path: Path) -> None:
    huge = "x" * 2_000_000
    assert rows_of(write(tmp_path, "a.csv", f"text,label\n{huge},good\n")) == [Row(huge, "good")]


def test_tsv_is_cut_at_tabs_alone(tmp_path: Path) -> None:
    assert rows_of(write(tmp_path, "a.tsv", "text\tlabel\na, b\tgood\n")) == [Row("a, b", "good")]


def test_endings_are_known_in_capitals_too(tmp_path: Path) -> None:
    assert rows_of(write(tmp_path, "A.CSV", "text,label\na,b\n")) == [Row("a", "b")]


@pytest.mark.parametrize("ending", ["jsonl", "ndjson"])
def test_a_json_line_that_is_no_object_is_malformed_and_a_blank_one_is_nothing(tmp_path: Path, ending: str) -> None:
    lines = ['{"text": "a", "label": "b"}', "", "  ", "[1]", '"text"', "3", "{", "\x00", "null", '{"label": "b"}']
    found = rows_of(write(tmp_path, f"a.{ending}", "\n".join(lines)))
    assert found == [Row("a", "b"), *[Row(malformed=True)] * 6, Row(None, "b")]


@pytest.mark.parametrize("depth", [500, 100_000])
def test_deep_nesting_is_survived(tmp_path: Path, depth: int) -> None:
    deep = '{"text": "a", "label": "b", "more": ' + "[" * depth + "]" * depth + "}"
    found = rows_of(write(tmp_path, "a.jsonl", f'{deep}\n{{"text": "c", "label": "d"}}\n'))
    assert len(found) == 2
    assert found[1] == Row("c", "d")


def test_a_number_of_ten_thousand_digits_is_survived(tmp_path: Path) -> None:
    lines = '{"text": "a", "label": ' + "9" * 10_000 + '}\n{"text": "c", "label": "d"}\n'
    assert rows_of(write(tmp_path, "a.jsonl", lines)) == [Row(malformed=True), Row("c", "d")]


def test_json_values_are_spelled_as_the_file_spells_them(tmp_path: Path) -> None:
    labels = ["1", "1.0", "1.5", "true", "null", "NaN", '" x "', '""', "1e400"]
    lines = "".join(f'{{"text": "a", "label": {label}}}\n' for label in labels)
    found = [row.label for row in rows_of(write(tmp_path, "a.jsonl", lines))]
    assert found == ["1", "1", "1.5", "true", None, None, "x", None, "inf"]


def test_parquet_integers_floats_with_gaps_and_nulls(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", None, "c"], "label": pa.array([1.0, 0.0, None]), "count": [1, 2, 3]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert rows_of(tmp_path / "a.parquet") == [Row("a", "1"), Row(None, "0"), Row("c", None)]
    assert [row.label for row in rows_of(tmp_path / "a.parquet", label="count")] == ["1", "2", "3"]


def test_parquet_categories_are_their_values(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"text": ["a", "b"], "label": pa.array(["x", "y"]).dictionary_encode()}), tmp_path / "a.parquet"
    )
    assert rows_of(tmp_path / "a.parquet") == [Row("a", "x"), Row("b", "y")]


def test_parquet_text_that_was_written_as_bytes_is_text(tmp_path: Path) -> None:
    """Spark and Impala write strings as plain binary columns in their older formats."""
    table = pa.table({"text": pa.array(["gr\u00fcn".encode()], pa.binary()), "label": ["x"]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert rows_of(tmp_path / "a.parquet") == [Row("gr\u00fcn", "x")]


def test_parquet_with_broken_utf8_is_survived_or_refused_in_words(tmp_path: Path) -> None:
    raw = pa.array([b"fine", b"caf\xe9"], pa.binary())
    broken = pa.StringArray.from_buffers(len(raw), raw.buffers()[1], raw.buffers()[2])
    pq.write_table(pa.table({"text": broken, "label": ["x", "y"]}), tmp_path / "a.parquet")
    found = rows_or_refusal(tmp_path / "a.parquet")
    assert "a.parquet" in found if isinstance(found, str) else found[0] == Row("fine", "x")


@pytest.mark.parametrize("damage", ["cut", "text", "flipped"])
def test_a_corrupt_parquet_file_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(5_000)], "label": ["x"] * 5_000}), path)
    raw = path.read_bytes()
    broken = {"cut": raw[: len(raw) // 2], "text": b"text,label\n", "flipped": raw[:4] + b"\xff" * 400 + raw[404:]}
    path.write_bytes(broken[damage])
    with pytest.raises(BuildError, match=r"a\.parquet is not readable Parquet"):
        rows_of(path)


def test_rows_come_from_s3(bucket: str) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key="in/a.csv", Body=f"text,label\n{quoted(HARD)},b\n".encode())
    assert list(read_rows(DataConfig(path=f"s3://{bucket}/in/a.csv"))) == [Row(HARD, "b")]


@pytest.mark.parametrize("name", ["a.txt", "a.parquet.gz", "a", "a.xlsx", "a.csv.zip", "a.txt.gz"])
def test_an_unknown_ending_names_those_that_are_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildError, match=r"\.csv, \.jsonl, \.ndjson, \.parquet, \.tsv"):
        rows_of(write(tmp_path, name, "text,label\na,b\n"))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildError, match=f"{name} is empty"):
        rows_of(write(tmp_path, name, ""))


@pytest.mark.parametrize("missing", [{"text": "body"}, {"label": "stars"}, {"where": {"language": "en"}}])
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path, ending: str, missing: dict[str, Any]) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"text": ["a"], "label": ["b"]}), path)
    elif ending == "jsonl":
        path.write_text('{"text": "a", "label": "b"}\n')
    else:
        path.write_text("text\tlabel\na\tb\n" if ending == "tsv" else "text,label\na,b\n")
    wanted = "body" if "text" in missing else "stars" if "label" in missing else "language"
    with pytest.raises(BuildError, match=f"no column '{wanted}'. Its columns: label, text."):
        rows_of(path, **missing)


def test_where_keeps_rows_whose_every_column_fits(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text,label,lang,year\na,x,en,1\nb,x,de,1\nc,x,en,2\nd,x,en,1\n")
    assert [row.text for row in rows_of(path, where={"lang": "en", "year": "1"})] == ["a", "d"]


def test_rows_are_streamed_and_not_held(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text,label\n" + "a,b\n" * 3 + '"open')
    rows = read_rows(DataConfig(path=str(path)))
    assert next(rows) == Row("a", "b")  # the broken end was not looked at yet


@pytest.mark.parametrize(
    ("name", "content"),
    [("csv", "text,label\na,b\n"), ("tsv", "text\tlabel\na\tb\n"), ("jsonl", '{"text": "a", "label": "b"}\n')],
)
def test_text_formats_are_read_from_gzip(tmp_path: Path, name: str, content: str) -> None:
    assert rows_of(write(tmp_path, f"a.{name}.GZ", gzip.compress(content.encode("utf-16")))) == [Row("a", "b")]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32"])
def test_wide_characters_are_known_without_a_mark(tmp_path: Path, codec: str) -> None:
    assert rows_of(write(tmp_path, "a.csv", f"text,label\n{quoted(HARD)},good\n".encode(codec))) == [Row(HARD, "good")]


@pytest.mark.parametrize("head", [b"PAR1", b"\x1f\x8b\x08", b"PK\x03\x04"])
def test_a_file_of_another_format_than_its_name_says_is_refused(tmp_path: Path, head: bytes) -> None:
    with pytest.raises(BuildError, match=r"a\.csv is .*, whatever its name says"):
        rows_of(write(tmp_path, "a.csv", head + b"\x00\n" * 50))


@pytest.mark.parametrize("column", ["text", "label"])
def test_a_column_that_is_there_twice_is_refused(tmp_path: Path, column: str) -> None:
    with pytest.raises(BuildError, match=f"two columns '{column}'"):
        rows_of(write(tmp_path, "a.csv", f"text,label,{column}\na,b,c\n"))


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ('["x", "y"]', ("x", "y")),
        ('["y", " x ", "y", "", null, 1, true]', ("y", "x", "1", "true")),
        ("[]", ()),
        ('" x | y||"', ("x", "y")),
        ('""', ()),
        ("7", ("7",)),
        ("null", None),
    ],
)
def test_labels_of_a_multi_label_task_are_a_list_or_text_with_separators(
    tmp_path: Path, cell: str, labels: tuple[str, ...] | None
) -> None:
    path = write(tmp_path, "a.jsonl", f'{{"text": "a", "label": {cell}}}\n')
    assert rows_of(path, task="multi-label") == [Row("a", labels=labels)]


def test_parquet_lists_are_labels_of_a_multi_label_task_alone(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b", "c"], "label": [["x", "y"], [], None]}), tmp_path / "a.parquet")
    found = rows_of(tmp_path / "a.parquet", task="multi-label")
    assert found == [Row("a", labels=("x", "y")), Row("b", labels=()), Row("c")]
    assert rows_of(tmp_path / "a.parquet") == [Row(malformed=True), Row(malformed=True), Row("c")]


@pytest.mark.parametrize("cell", ['[["x"]]', '{"x": 1}', '[{"x": 1}]'])
def test_labels_inside_lists_inside_lists_are_malformed(tmp_path: Path, cell: str) -> None:
    path = write(tmp_path, "a.jsonl", f'{{"text": "a", "label": {cell}}}\n')
    assert rows_of(path, task="multi-label") == [Row(malformed=True)]


def test_a_separator_may_be_anything(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\na,"x, y"\nb,\n')
    assert rows_of(path, task="multi-label", separator=",") == [Row("a", labels=("x", "y")), Row("b", labels=())]


def test_slices_are_the_values_of_their_columns(tmp_path: Path) -> None:
    lines = ['"de", "year": 2020.0', 'null, "year": [1]', '"\\ud800 ", "year": true']
    content = "".join(f'{{"text": "a", "label": "b", "lang": {line}}}\n' for line in lines)
    found = rows_of(write(tmp_path, "a.jsonl", content), slices=("lang", "year"))
    assert [row.slices for row in found] == [("de", "2020"), ("", ""), ("?", "true")]
    with pytest.raises(BuildError, match="no column 'none'"):
        rows_of(tmp_path / "a.jsonl", slices=("none",))


def test_a_directory_holds_a_text_a_file_under_its_label(tmp_path: Path) -> None:
    for name in (
        "pos/2.txt",
        "pos/1.txt",
        "v1.2/a.TXT",
        "v1.2/notes.md",
        ".git/x.txt",
        "pos/.hidden.txt",
        "README.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path, name, f"text of\n{name}")
    (tmp_path / "pos" / "empty.txt").write_text("")
    (tmp_path / "pos" / "sub.txt").mkdir()
    expected = [Row(f"text of\n{name}", name.split("/")[0]) for name in ("pos/1.txt", "pos/2.txt", "v1.2/a.TXT")]
    assert rows_of(tmp_path) == [*expected[:2], Row("", "pos"), expected[2]]


def test_a_directory_holds_a_text_a_line_in_the_file_of_its_label(tmp_path: Path) -> None:
    write(tmp_path, "pos.txt", "good\r\n\n\u8fd9\u4e2a\n")
    write(tmp_path, "neg.txt", b"bad\ncaf\xe9")
    write(tmp_path, "model.marshal", b"\x00")
    assert rows_of(tmp_path) == [
        Row("bad\n", "neg"),
        Row("caf\ufffd", "neg"),
        Row("good\n", "pos"),
        Row("\u8fd9\u4e2a\n", "pos"),
    ]


@pytest.mark.parametrize("options", [{"where": {"source": "x"}}, {"slices": ("source",)}])
def test_a_directory_has_no_other_columns(tmp_path: Path, options: dict[str, Any]) -> None:
    write(tmp_path, "a.txt", "x")
    with pytest.raises(BuildError, match="is a directory and has no column 'source'"):
        rows_of(tmp_path, **options)


def texts_of(path: Path, **options: Any) -> list[str]:
    return list(read_texts(DataConfig(path="none.csv", unlabelled=str(path), **options)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,n\none,1\n,1\ntwo,1\nthree,2\n"),
        ("a.jsonl", '{"text": "one", "n": 1}\n{\n[]\n{"text": ["x"], "n": 1}\n{"text": "two", "n": 1}\n'),
        ("a.txt", "one\n \ncaf\ufffd\ntwo\n"),
        ("a.txt.gz", gzip.compress(b"one\n\ntwo", mtime=0)),
    ],
)
def test_unlabelled_texts_are_read_from_every_format(tmp_path: Path, name: str, content: str | bytes) -> None:
    where = {} if ".txt" in name else {"n": "1"}
    assert texts_of(write(tmp_path, name, content), unlabelled_where=where) == ["one", "two"]


def test_unlabelled_texts_are_mended_as_labelled_ones_are(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "sch\u00c3\u00b6n <b>da</b>\n<br>\n")
    assert texts_of(path, strip_html=True) == ["sch\u00f6n da"]
    assert texts_of(path) == ["sch\u00f6n <b>da</b>", "<br>"]


def test_unlabelled_texts_of_a_directory_are_all_it_holds_and_of_nothing_none(tmp_path: Path) -> None:
    write(tmp_path, "b.txt", "two\n")
    write(tmp_path, "a.txt", "one\n")
    assert texts_of(tmp_path) == ["one", "two"]
    assert list(read_texts(DataConfig(path="none.csv"))) == []
    with pytest.raises(BuildError, match=r"none\.txt.*data\.unlabelled"):
        texts_of(tmp_path / "none.txt")
