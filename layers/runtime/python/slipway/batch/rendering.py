"""Rows and their answers to bytes: in the file's own format, with its own columns untouched, ours behind them."""

import base64
import csv
import io
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from slipway.answers import Answer
from slipway.batch.formats import Compression, Format
from slipway.batch.job import plain_name
from slipway.batch.rows import Row

_DECIMALS = 6
_FIXED = f".{_DECIMALS}f"
_RAW_LIMIT = 64_000  # bytes of a broken row that errors.jsonl shows
_FEW = 4_096  # labels and versions that are kept as they are written


def values(answer: Answer, version: str, added: Sequence[str]) -> dict[str, Any]:
    """What an answer adds to its row, by the names in ``added``: label, score, perhaps scores, model_version.

    Scores are rounded where they are written, by ``flat`` and ``render``.
    """
    found: dict[str, Any] = {"label": answer.label, "score": answer.score, "model_version": version}
    if [*added] == [*found]:  # as most jobs ask
        return found
    plain = {name: plain_name(name) for name in added}
    if "scores" in plain.values():
        found["scores"] = dict(answer.scores)
    return {name: found[plain[name]] for name in added}


def flat(value: Any) -> Any:
    """A value for a column: what is no scalar becomes JSON."""
    if isinstance(value, float):
        return round(value, _DECIMALS)
    return _json(value) if isinstance(value, dict) else value


def header(found: Format, added: Sequence[str]) -> bytes:
    """The first line of results, where the format has one."""
    if found.kind == "csv":
        return _csv_line([*found.columns, *added], found.delimiter).encode() + b"\n"
    return b""


def render(row: Row, added: Mapping[str, Any], found: Format) -> bytes:
    """A scored row, with its end. ``added`` is what ``values`` gave.

    Plain text becomes a line of tab-separated columns: ours first, then the line as it was.
    """
    if found.kind == "jsonl":
        return _json_row(row, added) + b"\n"
    label, score, *scores, version = added.values()
    if found.kind == "csv":
        mark = found.delimiter
        more = "".join([f"{mark}{_quote(_json(each), mark)}" for each in scores]) if scores else ""
        ours = f"{mark}{_quoted(label or '', mark)}{mark}{score:{_FIXED}}{more}{mark}{_quoted(version, mark)}"
        return row.raw + ours.encode() + (row.end or b"\n")
    cells = [label or "", f"{score:{_FIXED}}", *map(_json, scores), version]
    return "\t".join(cells).encode() + b"\t" + row.raw + b"\n"


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
    if isinstance(row.content, dict):
        theirs = row.raw.strip().removesuffix(b"}").rstrip()
    else:  # a line that is a bare JSON text
        theirs = f'{{"text": {_dumps(row.text)}'.encode()
    return theirs + f", {_json(added)[1:]}".encode()


def _json(value: Any) -> str:
    """As ``json.dumps`` would, which takes longer to begin than to write what ``values`` gives."""
    if isinstance(value, str):
        return _json_text(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(round(value, _DECIMALS))
    if isinstance(value, dict):
        return "{" + ", ".join([f"{_json_text(name)}: {_json(each)}" for name, each in value.items()]) + "}"
    return _dumps(value)


_dumps = json.JSONEncoder(ensure_ascii=False).encode
_json_text = lru_cache(_FEW)(_dumps)


def _quote(cell: str, delimiter: str) -> str:
    """As csv writes a cell beside others, which takes longer to begin than to write one."""
    return _csv_line([cell, ""], delimiter)[:-1]


_quoted = lru_cache(_FEW)(_quote)


def _csv_line(fields: Sequence[str], delimiter: str) -> str:
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow(fields)
    return line.getvalue()
