"""What an uploaded file is, told by its first bytes and its name."""

import csv
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from slipway.batch.boundaries import ends_in_quotes, irregular_records, split_lines
from slipway.errors import BatchError

Kind = Literal["jsonl", "csv", "text", "parquet"]
Compression = Literal["", "gzip", "zstd"]
Encoding = Literal["utf-8", "utf-16-le", "utf-16-be"]

HEAD = 1 << 20  # bytes that are sniffed
DELIMITERS = ",;\t|"
_EXTENSIONS: dict[str, Kind] = {
    **dict.fromkeys(("jsonl", "ndjson", "json"), "jsonl"),
    **dict.fromkeys(("csv", "tsv"), "csv"),
    "txt": "text",
    "parquet": "parquet",
}
_COMPRESSIONS: dict[str, Compression] = {"gz": "gzip", "zst": "zstd", "zstd": "zstd"}
_MAGIC: tuple[tuple[bytes, Compression], ...] = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_PARQUET = b"PAR1"
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "Save the sheet as CSV in UTF-8."),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file", "Save the sheet as CSV in UTF-8."),
    (b"BZh", "compressed with bzip2", "Compress with gzip or zstd instead, or not at all."),
    (b"\xfd7zXZ", "compressed with xz", "Compress with gzip or zstd instead, or not at all."),
    (b"%PDF", "a PDF", "Extract its text, one row a text."),
    (b"ORC", "an ORC file", "Write Parquet instead."),
    (b"Obj\x01", "an Avro file", "Write Parquet or JSON Lines instead."),
)
_BOMS: tuple[tuple[bytes, Encoding], ...] = (
    (b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")
)  # fmt: skip
_READ = (
    "JSON Lines, CSV with a header, Parquet and plain text are read; gzip and zstd; UTF-8, and UTF-16 with its mark."
)

_NAMED = "Its first line must name the columns."


@dataclass(frozen=True, kw_only=True)
class Format:
    """``bom`` counts the bytes of the byte order mark. ``delimiter`` and ``columns`` are a CSV's; Parquet has columns.

    ``quotes`` is False where a CSV uses quotes as RFC 4180 does not: then its records are found one by one.
    """

    kind: Kind
    compression: Compression = ""
    encoding: Encoding = "utf-8"
    bom: int = 0
    delimiter: str = ""
    columns: tuple[str, ...] = ()
    quotes: bool = True

    @property
    def is_cut_anew(self) -> bool:
        """Whether no range of the file's own bytes can be read by itself."""
        return bool(self.compression) or self.encoding != "utf-8"

    @property
    def beginning(self) -> int:
        """The byte where the first record begins, in the file or in what is cut anew."""
        return 0 if self.is_cut_anew else self.bom

    @property
    def extension(self) -> str:
        """Of results in this format, with its dot."""
        kind = {"csv": "tsv" if self.delimiter == "\t" else "csv", "text": "tsv"}.get(self.kind, self.kind)
        return f".{kind}" + {"": "", "gzip": ".gz", "zstd": ".zst"}[self.compression]

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """What ``asdict`` gave, through JSON."""
        return cls(**{**document, "columns": tuple(document["columns"])})


def sniff(name: str, head: bytes) -> Format:
    """The format of a file called ``name`` that begins with ``head``, which has ``HEAD`` bytes or is the whole file.

    A CSV's columns are found too; a Parquet's are in its footer. Raises BatchError with a reason for the file's owner.
    """
    if not head:
        raise BatchError(f"{name} is empty.")
    compression: Compression = next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")
    plain = decompress_head(head, compression) if compression else head
    _refuse_foreign(name, plain)
    if plain.startswith(_PARQUET):
        if compression:
            raise BatchError(f"{name} is a compressed Parquet file.", remedy="Upload the Parquet file itself.")
        return Format(kind="parquet")
    encoding, bom = _encoding(plain)
    whole = len(head) < HEAD and not compression
    text = _decoded(name, plain[bom:], encoding, whole=whole)
    if not text.strip():
        raise BatchError(f"{name} holds nothing but blanks.")
    found = Format(kind=_kind(name, text), compression=compression, encoding=encoding, bom=bom)
    return _with_columns(name, found, text) if found.kind == "csv" else found


def decompress_head(head: bytes, compression: Compression) -> bytes:
    """The beginning of what was compressed, as far as ``head`` tells it."""
    try:
        if compression == "gzip":
            return zlib.decompressobj(wbits=31).decompress(head, HEAD)
        import zstandard

        with zstandard.ZstdDecompressor().stream_reader(
            head
        ) as stream:  # never more: a megabyte may unfold to gigabytes
            return bytes(stream.read(HEAD))
    except Exception as error:  # zlib's and zstandard's errors share no base but Exception
        raise BatchError(f"It claims to be compressed with {compression} and is not: {error}.") from error


def stem(name: str) -> str:
    """A file's name without the extensions that are known here.

    >>> stem("reviews.2024.csv.gz"), stem("notes")
    ('reviews.2024', 'notes')
    """
    parts = name.split(".")
    if len(parts) > 1 and parts[-1].lower() in _COMPRESSIONS:
        parts.pop()
    if len(parts) > 1 and parts[-1].lower() in _EXTENSIONS:
        parts.pop()
    return ".".join(parts)


def text_column(columns: Sequence[str], wanted: str, name: str) -> int:
    """The index of the column that holds the texts: ``wanted``, or the only one there is. Raises BatchError."""
    if wanted in columns:
        return columns.index(wanted)
    if len(columns) == 1 and wanted == "text":
        return 0
    known = ", ".join(repr(column[:40]) for column in columns[:12])
    raise BatchError(
        f"{name} has no column {wanted!r}; it has {known}.",
        remedy=f'Name the column in {name}.slipway.json, uploaded before the file: {{"text_column": "…"}}.',
    )


def _refuse_foreign(name: str, plain: bytes) -> None:
    for magic, kind in _MAGIC:
        if plain.startswith(magic) and kind and len(plain) > len(magic):
            raise BatchError(f"{name} is compressed twice.", remedy="Compress it once, or not at all.")
    for magic, what, remedy in _FOREIGN:
        if plain.startswith(magic):
            raise BatchError(f"{name} is {what}.", remedy=remedy)


def _encoding(plain: bytes) -> tuple[Encoding, int]:
    if plain.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        raise BatchError("The file is UTF-32.", remedy="Save it in UTF-8.")
    return next(((encoding, len(mark)) for mark, encoding in _BOMS if plain.startswith(mark)), ("utf-8", 0))


def _decoded(name: str, plain: bytes, encoding: Encoding, *, whole: bool) -> str:
    """What the head says. A row that is not UTF-8 costs only itself; a file that is not is refused."""
    if encoding != "utf-8":
        return plain[: len(plain) // 2 * 2].decode(encoding, "replace")
    if plain[:400].count(0) > len(plain[:400]) // 4:
        raise BatchError(
            f"{name} is UTF-16 without its byte order mark, or no text at all.", remedy="Save it in UTF-8."
        )
    lines = plain.split(b"\n")
    if not whole:
        lines.pop()  # may end in the middle of a character
    broken = sum(not _is_utf8(line) for line in lines)
    if broken > len(lines) / 4:
        raise BatchError(
            f"{name} is not UTF-8: {broken:,} of its first {len(lines):,} lines cannot be read.",
            remedy="It may be Windows-1252 or Latin-1: save it in UTF-8, as with `iconv -f windows-1252 -t utf-8`.",
        )
    return plain.decode("utf-8", "replace")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _kind(name: str, text: str) -> Kind:
    extensions = [part for part in name.lower().split(".")[1:] if part not in _COMPRESSIONS]
    told = _EXTENSIONS.get(extensions[-1]) if extensions else None
    if told == "parquet":
        raise BatchError(f"{name} is no Parquet file: it does not begin with PAR1.", remedy=_READ)
    start = text.lstrip()[:1]
    if told == "jsonl" or (told is None and start in ("{", "[")):
        if start == "[":
            raise BatchError(
                f"{name} is one JSON array.", remedy="Write JSON Lines: one object a line, as `jq -c '.[]'` does."
            )
        return "jsonl"
    if told:
        return told
    first = next(line for line in text.splitlines() if line.strip())
    return "csv" if any(delimiter in first for delimiter in DELIMITERS) and "text" in first.lower() else "text"


def _with_columns(name: str, found: Format, text: str) -> Format:
    delimiter = _delimiter(text)
    header = next(irregular_records(split_lines([text.encode()]), delimiter))
    if ends_in_quotes(header, delimiter):
        raise BatchError(f"The header of {name} has a quote that is never closed.", remedy=_NAMED)
    csv.field_size_limit(HEAD * 16)
    columns = tuple(next(csv.reader([header.decode()], delimiter=delimiter)))
    if not columns:
        raise BatchError(f"{name} begins with an empty line.", remedy=_NAMED)
    return replace(found, delimiter=delimiter, columns=columns)


def _delimiter(text: str) -> str:
    """The one that cuts the header into most columns, and as many in the rows that follow."""

    def agreement(delimiter: str) -> tuple[int, int]:
        reader = csv.reader(io.StringIO(text[: 1 << 16], newline=""), delimiter=delimiter)
        try:
            header, *rows = (row for row, _ in zip(reader, range(50), strict=False) if row)
        except (csv.Error, ValueError):
            return 0, 0
        return (sum(len(row) == len(header) for row in rows) if len(header) > 1 else 0), len(header)

    return max(DELIMITERS, key=agreement)
