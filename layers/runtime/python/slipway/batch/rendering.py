"""Rows and their answers to bytes: in the file's own format, with its own columns untouched, ours behind them."""

import base64
import csv
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from slipway.answers import Answer
from slipway.batch.formats import Compression, Format
from slipway.batch.job import PREFIX
from slipway.batch.rows import Row

_DECIMALS = 6
_RAW_LIMIT = 64_000  # bytes of a broken row that errors.jsonl shows


def values(answer: Answer, version: str, added: Sequence[str]) -> dict[str, Any]:
    """What an answer adds to its row, by the names in ``added``: label, score, perhaps scores, model_version."""
    scores = {label: round(score, _DECIMALS) for label, score in answer.scores}
    found = {"label": answer.label, "score": round(answer.score, _DECIMALS), "scores": scores, "model_version": version}
    return {name: found[name.removeprefix(PREFIX)] for name in added}


def flat(value: Any) -> Any:
    """A value for a column: what is no scalar becomes JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


def header(found: Format, added: Sequence[str]) -> bytes:
    """The first line of results, where the format has one."""
    if found.kind == "csv":
        return _csv_line([*found.columns, *added], found.delimiter) + b"\n"
    return b""


def render(row: Row, added: Mapping[str, Any], found: Format) -> bytes:
    """A scored row, with its end.

    Plain text becomes a line of tab-separated columns: ours first, then the line as it was.
    """
    if found.kind == "jsonl":
        return _json_row(row, added) + b"\n"
    fields = [_cell(value) for value in added.values()]
    if found.kind == "csv":
        end = row.end or b"\n"
        return row.raw + found.delimiter.encode() + _csv_line(fields, found.delimiter) + end
    return "\t".join(fields).encode() + b"\t" + row.raw + b"\n"


def render_error(row: Row) -> bytes:
    """A line of errors.jsonl: row number, reason, and the row as it was; in base64 where it is not UTF-8."""
    raw = row.raw[:_RAW_LIMIT]
    document: dict[str, Any] = {"row": row.number, "reason": row.reason}
    try:
        document["raw"] = raw.decode()
    except UnicodeDecodeError:
        document["raw_base64"] = base64.b64encode(raw).decode()
    if len(row.raw) > _RAW_LIMIT:
        document["raw_bytes"] = len(row.raw)
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def compress(data: bytes, compression: Compression) -> bytes:
    """One member or frame: members behind each other are a file again. The same bytes for the same data."""
    if compression == "gzip":
        packer = zlib.compressobj(6, wbits=31)  # without a time, unlike gzip.compress before Python 3.13
        return packer.compress(data) + packer.flush()
    if compression == "zstd":
        import zstandard

        return bytes(zstandard.ZstdCompressor(level=3).compress(data))
    return data


def _json_row(row: Row, added: Mapping[str, Any]) -> bytes:
    if not isinstance(row.content, dict):  # a line that is a bare JSON text
        return json.dumps({"text": row.text, **added}, ensure_ascii=False).encode()
    ours = json.dumps(added, ensure_ascii=False, separators=(", ", ": ")).encode()
    theirs = row.raw.strip().removesuffix(b"}").rstrip()
    return theirs + b", " + ours[1:]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{_DECIMALS}f}"
    return str(flat(value))


def _csv_line(fields: Sequence[str], delimiter: str) -> bytes:
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow(fields)
    return line.getvalue().encode()
