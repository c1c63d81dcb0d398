"""Bad data: every file ends in one clear line or in rows counted as dropped, and none in a traceback or a wait."""

import codecs
import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_build.data.clean import Dataset, clean
from model_build.data.read import read_rows, read_texts
from model_build.sections import DataConfig
from slipway.errors import BuildError

Content = str | bytes
GOOD = [(f"{label} sentence number {i} of {i * i}", label) for label in ("yes", "no") for i in range(8)]
CSV = "text,label\n" + "".join(f"{text},{label}\n" for text, label in GOOD)
JSONL = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in GOOD)


def lines(*more: str) -> str:
    return JSONL + "".join(f"{line}\n" for line in more)


def record(text: Any, label: Any = "yes") -> str:
    return json.dumps({"text": text, "label": label})


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


TEXTS, NAMES = [text for text, _ in GOOD], [label for _, label in GOOD]
PARQUET = parquet({"text": TEXTS, "label": NAMES})

# File name, content, and what the one line must say.
REFUSED: dict[str, tuple[str, Content, str]] = {
    "empty file": ("a.csv", b"", r"a\.csv is empty"),
    "empty Parquet": ("a.parquet", b"", r"a\.parquet is empty"),
    "empty gzip": ("a.csv.gz", b"", r"a\.csv\.gz is empty"),
    "gzip of nothing": ("a.csv.gz", gzip.compress(b""), "no column 'label'. Its columns: none"),
    "header only": ("a.csv", "text,label\n", "no usable row: 0 read"),
    "line feeds only": ("a.csv", "\n" * 100, "no column 'label'"),
    "spaces only": ("a.jsonl", "  \n \n", "no column 'label'. Its columns: none"),
    "no label column": ("a.csv", "text,stars\na,b\n", "no column 'label'. Its columns: stars, text"),
    "no text column": ("a.jsonl", '{"body": "a", "label": "b"}\n', "no column 'text'. Its columns: body, label"),
    "columns with line feeds": ("a.csv", '"te\nxt",label\na,b\n', r"Its columns: label, te\\nxt"),
    "a thousand columns": ("a.csv", ",".join(f"column {i}" for i in range(1_000)) + "\n", "no column 'label'"),
    "text column twice": ("a.csv", "text,label,text\na,b,c\n", "two columns 'text'"),
    "label column twice": ("a.tsv", "text\tlabel\tlabel\na\tb\tc\n", "two columns 'label'"),
    "commas in a TSV": ("a.tsv", CSV, "no column 'label'. Its columns: text,label"),
    "semicolons": ("a.csv", CSV.replace(",", ";"), "no column 'label'. Its columns: text;label"),
    "quote never closed": ("a.csv", CSV + '"never closed,yes\n', r"a\.csv, line \d+.*RFC 4180"),
    "text after a quote": ("a.csv", CSV + '"closed" early,yes\n', r"a\.csv, line 18.*RFC 4180"),
    "Parquet named CSV": ("a.csv", PARQUET, r"a\.csv is Parquet, whatever its name says"),
    "gzip named CSV": ("a.csv", gzip.compress(CSV.encode()), r"a\.csv is gzip'd"),
    "gzip in gzip": ("a.csv.gz", gzip.compress(gzip.compress(CSV.encode())), r"is gzip'd, whatever"),
    "spreadsheet named CSV": ("a.csv", b"PK\x03\x04" + bytes(range(256)), "a ZIP archive or a spreadsheet"),
    "CSV named Parquet": ("a.parquet", CSV, r"a\.parquet is not readable Parquet"),
    "CSV named gzip": ("a.csv.gz", CSV, r"a\.csv\.gz cannot be read: Not a gzipped file"),
    "gzip cut short": ("a.csv.gz", gzip.compress(CSV.encode() * 50)[:-30], "cannot be read.*Is the file whole"),
    "gzip with a flipped bit": ("a.csv.gz", gzip.compress(CSV.encode())[:-6] + b"\0" * 6, "cannot be read.*whole"),
    "gzip with broken blocks": ("a.csv.gz", gzip.compress(CSV.encode())[:10] + b"\xff" * 99, "cannot be read.*whole"),
    "Parquet cut short": ("a.parquet", PARQUET[:-20], r"a\.parquet is not readable Parquet"),
    "Parquet without a middle": ("a.parquet", PARQUET[:40] + PARQUET[90:], r"a\.parquet is not readable Parquet"),
    "Parquet with other columns": ("a.parquet", parquet({"x": [1]}), "no column 'label'. Its columns: x"),
    "Parquet without columns": ("a.parquet", parquet({}), "no column 'label'. Its columns: none"),
    "Parquet without rows": (
        "a.parquet",
        parquet({"text": pa.array([], "string"), "label": pa.array([], "string")}),
        "no usable row",
    ),
    "nested labels": ("a.parquet", parquet({"text": TEXTS, "label": [[n] for n in NAMES]}), "16 malformed row"),
    "nested texts": ("a.parquet", parquet({"text": [{"en": t} for t in TEXTS], "label": NAMES}), "16 malformed row"),
    "all null": ("a.parquet", parquet({"text": pa.nulls(9), "label": pa.nulls(9)}), "9 missing or empty text"),
    "one label only": ("a.csv", "text,label\na,x\nb,x\nc,x\n", "only the label 'x'"),
    "1,001 labels": (
        "a.csv",
        "text,label\n" + "".join(f"text {i},l{i}\n" for i in range(1_001)),
        "more than 1,000 labels",
    ),
    "text and label swapped": (
        "a.csv",
        "label,text\n" + "".join(f"t {i},y\n" for i in range(2_000)),
        "exact duplicate|1,000 labels",
    ),
    "labels of 10,000 characters": ("a.csv", f"text,label\na,{'x' * 10_000}\nb,y\n", "1 over-long label"),
    "labels that are numbers with units": ("a.csv", CSV + "some text,12 %\n", "'12 %' has 1 usable rows"),
    "conflicts only": ("a.csv", "text,label\na,x\na,y\nb,x\nb,y\n", "no usable row.*4 conflicting labels"),
    "JSON array, not lines": ("a.jsonl", json.dumps([{"text": "a", "label": "b"}], indent=1), "no column 'label'"),
    "control characters only": ("a.csv", "text,label\n" + "\x00\x00,x\n\x00,y\n" * 3, "6 missing or empty text"),
    "latin-1 throughout": ("a.csv", "text,label\n" + "".join(f"caf\xe9 {i},x\n" for i in range(9)), "has only|broken"),
    "bytes of an image": ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "no column 'label'"),
    "UTF-7": ("a.csv", "text,label\n".encode("utf-7").replace(b",", b"+ACw-"), "no column 'label'"),
    "a name with a line feed": ("a\nb.csv", "", r"a\\nb\.csv is empty"),
    "a name with half a character": (os.fsdecode(b"\xff.csv"), "", "csv is empty"),
    "no ending": ("data", CSV, "Known endings"),
    "spreadsheet": ("a.xlsx", b"PK\x03\x04", r"ends in '\.xlsx'"),
}
REFUSED["latin-1 throughout"] = ("a.csv", REFUSED["latin-1 throughout"][1].encode("latin-1"), "9 broken encoding")  # type: ignore[union-attr]

# File name, content, and what is dropped beside sixteen good rows.
READ: dict[str, tuple[str, Content, dict[str, int]]] = {
    "UTF-8 mark": ("a.csv", codecs.BOM_UTF8 + CSV.encode(), {}),
    "UTF-8 mark in JSON Lines": ("a.jsonl", codecs.BOM_UTF8 + JSONL.encode(), {}),
    "UTF-16 with a mark": ("a.csv", CSV.encode("utf-16"), {}),
    "UTF-16 without a mark": ("a.csv", CSV.encode("utf-16-le"), {}),
    "UTF-16, other order": ("a.jsonl", JSONL.encode("utf-16-be"), {}),
    "UTF-32": ("a.csv", CSV.encode("utf-32"), {}),
    "UTF-16 with half a character at the end": ("a.csv", CSV.encode("utf-16") + b"\x61", {"missing label": 1}),
    "some latin-1": ("a.csv", CSV.encode() + b"caf\xe9,yes\nother,na\xefve\n", {"broken encoding": 2}),
    "NULs": ("a.csv", CSV + "a\x00b,yes\n\x00,no\n", {"missing or empty text": 1}),
    "half a surrogate pair": (
        "a.jsonl",
        lines('{"text": "\\ud83d", "label": "yes"}', '{"text": "x", "label": "\\udc00"}'),
        {"broken encoding": 2},
    ),
    "5 MB in a cell": ("a.csv", f"{CSV}{'long ' * 1_000_000},yes\n", {"over-long text": 1}),
    "5 MB of markup in a cell": ("a.csv", f"{CSV}{'<a <b>' * 900_000},yes\n", {"over-long text": 1}),
    "ragged rows": ("a.csv", CSV + "too,many,cells\nfew\n\n,,,\n", {"malformed row": 2, "missing label": 1}),
    "line ends of three kinds": ("a.csv", CSV.replace("\n", "\r\n", 5).replace("8 of 64\n", "8 of 64\r"), {}),
    "line ends of old": ("a.csv", CSV.replace("\n", "\r"), {}),
    "line feeds in quotes": ("a.csv", CSV + '"one\ntwo\r\nthree",yes\n', {}),
    "empty cells": ("a.csv", CSV + ",yes\ntext,\n,\n", {"missing label": 1, "missing or empty text": 2}),
    "white space of all kinds": (
        "a.jsonl",
        lines(record(" \t\u00a0\u2003\u3000"), record("x", " \n ")),
        {"missing or empty text": 1, "missing label": 1},
    ),
    "NaN and Infinity": (
        "a.jsonl",
        lines('{"text": NaN, "label": "yes"}', '{"text": Infinity, "label": "yes"}'),
        {"missing or empty text": 1},
    ),
    "huge numbers": (
        "a.jsonl",
        lines('{"text": 1e999, "label": "yes"}', f'{{"text": {"9" * 5_000}, "label": "no"}}'),
        {"malformed row": 1},
    ),
    "deep nesting": (
        "a.jsonl",
        lines('{"text": ' + "[" * 100_000 + "]" * 100_000 + "}", record([["x"]])),
        {"malformed row": 2},
    ),
    "arrays, text and numbers": ("a.jsonl", lines("[1]", '"text"', "3", "null", "true"), {"malformed row": 5}),
    "trailing commas": ("a.jsonl", lines('{"text": "x", "label": "yes",}', record("x") + ","), {"malformed row": 2}),
    "single quotes": ("a.jsonl", lines("{'text': 'x', 'label': 'yes'}"), {"malformed row": 1}),
    "cut in mid-line": ("a.jsonl", JSONL + '{"text": "x", "la', {"malformed row": 1}),
    "lists and objects as labels": (
        "a.jsonl",
        lines(record("x", ["yes"]), record("y", {"is": "yes"})),
        {"malformed row": 2},
    ),
    "keys twice": ("a.jsonl", lines('{"text": "a", "text": "b", "label": "no", "label": "yes"}'), {}),
    "emoji and joiners": (
        "a.jsonl",
        lines(
            record("\U0001f469\U0001f3fd\u200d\U0001f680"), record("\U0001f469\u200d\U0001f680", "no"), record("\u200d")
        ),
        {},
    ),
    "right-to-left marks": (
        "a.jsonl",
        lines(record("\u202eabc\u202c \u200f"), record("abc")),
        {"normalized duplicate": 1},
    ),
    "invisible characters only": ("a.jsonl", lines(record("\u200b\ufeff\u2060")), {}),
    "letters with a hundred accents": ("a.jsonl", lines(record("e" + "\u0301" * 500)), {}),
    "a letter that becomes eighteen": ("a.jsonl", lines(record("\ufdfa" * 1_000)), {}),
    "formula": ("a.csv", CSV + "=cmd|' /C calc'!A0,yes\n", {}),
    "a label of another case": ("a.csv", CSV + "".join(f"more {i},YES\n" for i in range(3)), {}),
    "labels with spaces around": ("a.csv", CSV + "more, yes \n", {}),
    "gzip in two parts": ("a.csv.gz", gzip.compress(CSV[:100].encode()) + gzip.compress(CSV[100:].encode()), {}),
    "Parquet with gaps": (
        "a.parquet",
        parquet({"text": [*TEXTS, None, ""], "label": [*NAMES, "yes", None]}),
        {"missing or empty text": 2},
    ),
    "Parquet of bytes": (
        "a.parquet",
        parquet({"text": [*(t.encode() for t in TEXTS), b"\xff"], "label": [*NAMES, "no"]}),
        {"broken encoding": 1},
    ),
    "Parquet of categories": ("a.parquet", parquet({"text": TEXTS, "label": pa.array(NAMES).dictionary_encode()}), {}),
    "Parquet with a nested column beside": (
        "a.parquet",
        parquet({"text": TEXTS, "label": NAMES, "more": [[{"a": 1}]] * 16}),
        {},
    ),
}


def attempt(path: Path, work: Path, **options: Any) -> Dataset:
    config = DataConfig(path=str(path), strip_html=True, **options)
    return clean(read_rows(config), config, work)


def assert_one_line(error: BuildError) -> None:
    assert str(error).isprintable()
    assert len(str(error)) < 1_500
    assert str(error).count(". ") < 12


def write(directory: Path, name: str, content: Content) -> Path:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_used_is_refused_in_one_clear_line(case: str, tmp_path: Path) -> None:
    name, content, words = REFUSED[case]
    with pytest.raises(BuildError, match=words) as refusal:
        attempt(write(tmp_path, name, content), tmp_path / "work")
    assert_one_line(refusal.value)


@pytest.mark.parametrize("case", READ)
def test_what_cannot_be_used_of_a_file_is_counted_and_the_rest_is_kept(case: str, tmp_path: Path) -> None:
    name, content, dropped = READ[case]
    dataset = attempt(write(tmp_path, name, content), tmp_path / "work")
    assert dataset.dropped == dropped
    kept = [example.text for split in dataset.splits.values() for example in split]
    assert dataset.rows == len(kept) + sum(dropped.values())
    assert set(TEXTS) <= set(kept)


def make_pipe(path: Path) -> None:
    os.mkfifo(path / "a.csv")


def make_loop(path: Path) -> None:
    (path / "a.csv").symlink_to(path / "b.csv")
    (path / "b.csv").symlink_to(path / "a.csv")


def make_dangling(path: Path) -> None:
    (path / "a.csv").symlink_to(path / "none.csv")


def make_empty(path: Path) -> None:
    (path / "a.csv").mkdir()


def make_other_files(path: Path) -> None:
    (path / "a.csv" / "yes").mkdir(parents=True)
    (path / "a.csv" / "yes" / "1.md").write_text("x")
    (path / "a.csv" / "rows.csv").write_text(CSV)


def make_pipes_inside(path: Path) -> None:
    (path / "a.csv" / "yes").mkdir(parents=True)
    os.mkfifo(path / "a.csv" / "yes" / "1.txt")
    os.mkfifo(path / "a.csv" / "no.txt")


def make_directory_of_itself(path: Path) -> None:
    (path / "a.csv").mkdir()
    (path / "a.csv" / "yes").symlink_to(path / "a.csv")


def make_one_label(path: Path) -> None:
    (path / "a.csv").mkdir()
    (path / "a.csv" / "yes.txt").write_text("one\ntwo\nthree\n")


def make_empty_label(path: Path) -> None:
    make_one_label(path)
    (path / "a.csv" / "no.txt").write_text("")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_pipe, "neither a file nor a directory"),
        (make_loop, "There is no file"),
        (make_dangling, "There is no file"),
        (make_empty, r"holds no text.*<label>/\*\.txt"),
        (make_other_files, "holds no text"),
        (make_pipes_inside, "holds no text"),
        (make_directory_of_itself, "holds no text"),
        (make_one_label, "only the label 'yes'"),
        (make_empty_label, r"no\.txt is empty"),
    ],
)
def test_a_path_that_is_no_file_of_rows_is_refused_and_not_waited_for(
    make: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    make(tmp_path)
    with pytest.raises(BuildError, match=words) as refusal:
        attempt(tmp_path / "a.csv", tmp_path / "work")
    assert_one_line(refusal.value)


@pytest.mark.parametrize(
    "location",
    [
        "/dev/null",
        "/dev/zero",
        "none.csv",
        "",
        "a\0b.csv",
        "x" * 300,
        "two\nlines.csv",
        "package:",
        "~nobody/x",
        "s3://",
    ],
)
def test_a_location_that_leads_nowhere_is_refused(location: str, tmp_path: Path) -> None:
    for config in (DataConfig(path=location), DataConfig(path="none.csv", unlabelled=location or "none.txt")):
        with pytest.raises(BuildError) as refusal:
            list(read_texts(config) if config.unlabelled else read_rows(config))
        assert_one_line(refusal.value)


def test_names_in_a_directory_may_be_odd(tmp_path: Path) -> None:
    data = tmp_path / "odd\n\u202edir"
    for label in ("new\nline", "\U0001f600", "a,b|c", "con.txt", os.fsdecode(b"caf\xe9")):
        (data / label).mkdir(parents=True)
        for i in range(3):
            (data / label / f"{i} \n.txt").write_text(f"text {i} of {label!r}")
    dataset = attempt(data, tmp_path / "work")
    assert dataset.labels == ["a,b|c", "con.txt", "new\nline", "\U0001f600"]
    assert dataset.dropped == {"broken encoding": 3}


@pytest.mark.parametrize("case", READ)
def test_unlabelled_text_is_no_less_robust(case: str, tmp_path: Path) -> None:
    name, content, _ = READ[case]
    config = DataConfig(path="none.csv", unlabelled=str(write(tmp_path, name, content)), max_chars=100)
    found = list(read_texts(config))
    assert set(TEXTS) <= set(found)
    assert all(text.strip() and text.encode() for text in found)
