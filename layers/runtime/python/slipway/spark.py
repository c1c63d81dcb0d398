"""Terabytes: the same rows, checks and predictor in a PySpark job, one session a Python worker.

    spark-submit spark.py INPUT OUTPUT --bucket <ModelBucket> --model <model>     # or --artifact DIRECTORY

A row comes back with its own columns and ours: label, score, perhaps scores, model_version, and ``reason``, which says
why a row was not scored and is null for the others. The version is the one that is live when the job starts.
"""

import argparse
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from slipway.answers import answer
from slipway.artifact import read_manifest
from slipway.batch import rendering
from slipway.batch.job import PREFIX, Request, added_columns, plain_name
from slipway.batch.rows import BrokenRow, checked_text
from slipway.batch.scoring import WINDOW
from slipway.errors import BatchError, StoreError
from slipway.loading import load_predictor
from slipway.predictor import Predictor
from slipway.requests import Parameters
from slipway.signatures import check_directory, read_keys

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

_REASON = "reason"
_TYPES = {"label": "string", "score": "double", "scores": "string", "model_version": "string", _REASON: "string"}

# Where a worker finds its model: the keys that must have signed it, then a directory that every worker has, or bucket,
# model and version.
Where = tuple[str, ...]


def score_frame(frame: "DataFrame", where: Where, request: Request) -> "DataFrame":
    """``frame`` with our columns behind its own. Raises BatchError if it has no text column."""
    column = request.text_column if request.text_column in frame.columns else _only(frame.columns, request)
    added = (*added_columns(request, frozenset(frame.columns)), _reason(frame.columns))
    schema = frame.limit(0).schema
    for name in added:
        schema = schema.add(name, _TYPES[plain_name(name)])
    step = partial(_score, where=where, column=column, parameters=request.parameters, added=added)
    return frame.mapInPandas(step, schema)


def read(spark: "SparkSession", path: str) -> "DataFrame":
    """A file or a folder of files, by its extension. Lines of plain text are the column ``text``."""
    name = path.rstrip("/").removesuffix(".gz").removesuffix(".zst")
    if name.endswith((".jsonl", ".ndjson", ".json")):
        return spark.read.json(path)
    if name.endswith((".csv", ".tsv")):
        delimiter = "\t" if name.endswith(".tsv") else ","
        return spark.read.csv(path, header=True, multiLine=True, escape='"', sep=delimiter)
    if name.endswith(".txt"):
        return spark.read.text(path).withColumnRenamed("value", "text")
    return spark.read.parquet(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, score, write; results are Parquet, or what ``--format`` says."""
    from pyspark.sql import SparkSession

    given = _parser().parse_args(arguments)
    spark = SparkSession.builder.appName("slipway").getOrCreate()
    parameters = Parameters(top_k=given.top_k, truncation=given.truncate)
    request = Request(text_column=given.text_column, parameters=parameters)
    scored = score_frame(read(spark, given.input), _where(given), request)
    scored.write.format(given.format).mode("error").save(given.output)


def _score(
    frames: "Iterator[pd.DataFrame]", *, where: Where, column: str, parameters: Parameters, added: Sequence[str]
) -> "Iterator[pd.DataFrame]":
    predictor = _predictor(where)
    for frame in frames:
        for start in range(0, len(frame), WINDOW):
            yield _window(frame[start : start + WINDOW], predictor, column, parameters, added)


def _window(
    frame: "pd.DataFrame", predictor: Predictor, column: str, parameters: Parameters, added: Sequence[str]
) -> "pd.DataFrame":
    texts, reasons = zip(*(_checked(value, column) for value in frame[column]), strict=True)
    good = [text for text in texts if text is not None]
    predictions = predictor.predict(good, truncation=parameters.truncation)
    answers = iter(answer(predictions, predictor.manifest, parameters))
    *ours, reason = added
    version = predictor.manifest.version
    cells = [{} if text is None else rendering.values(next(answers), version, ours) for text in texts]
    columns: dict[str, list[Any]] = {name: [rendering.flat(cell.get(name)) for cell in cells] for name in ours}
    return frame.assign(**columns, **{reason: list(reasons)})


def _checked(value: Any, column: str) -> tuple[str | None, str | None]:
    try:
        return checked_text(value, column), None
    except BrokenRow as error:
        return None, str(error)


@lru_cache(1)
def _predictor(where: Where) -> Predictor:
    """One a worker process."""
    trusted, *place = where
    if len(place) == 1:
        if trusted:
            check_directory(Path(place[0]), read_keys(trusted))
        return load_predictor(Path(place[0]))
    from slipway.store import Store

    bucket, model, version = place
    store = Store(bucket, model, trusted_keys=trusted)
    return load_predictor(store.fetch(version, None, Path(mkdtemp(prefix="slipway-"))))


def _where(given: argparse.Namespace) -> Where:
    if given.artifact:
        read_manifest(Path(given.artifact))
        return given.trusted_keys, given.artifact
    from slipway.store import Store

    live = Store(given.bucket, given.model).live()
    if live is None:
        raise StoreError(f"No version of {given.model!r} is live.", remedy="`slipway promote` one, or give --artifact.")
    return given.trusted_keys, given.bucket, given.model, live.version


def _only(columns: Sequence[str], request: Request) -> str:
    if len(columns) == 1 and request.text_column == Request.text_column:
        return columns[0]
    raise BatchError(f"There is no column {request.text_column!r}; there are {', '.join(columns)}.")


def _reason(columns: Sequence[str]) -> str:
    return PREFIX + _REASON if _REASON in columns else _REASON


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipway.spark", description="Scores rows with a model of Slipway.")
    parser.add_argument("input", help="JSON Lines, CSV, text or Parquet: a file or a folder")
    parser.add_argument("output", help="a folder that is not there yet")
    parser.add_argument("--artifact", help="a directory that every worker has")
    parser.add_argument("--bucket", help="the model bucket, for the version that is live")
    parser.add_argument("--model")
    parser.add_argument("--trusted-keys", default="", help="fingerprints of keys that must have signed the version")
    parser.add_argument("--text-column", default=Request.text_column)
    parser.add_argument("--top-k", type=int)
    parser.add_argument("--truncate", default="right")
    parser.add_argument("--format", default="parquet", help="of the output: parquet, json, csv")
    return parser


if __name__ == "__main__":
    from slipway import spark  # noqa: PLW0406 - by its name, under which the workers find its functions

    spark.main()
