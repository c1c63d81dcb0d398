"""A PySpark job on this machine gives the answers of ``slipway score``, row for row."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.batch.local import score_file
from tests.conftest import tiny_rows

ROOT = Path(__file__).resolve().parents[3]
ROWS, REFUSED = 3_000, 6


def write_films(file: Path) -> Path:
    """Rows of both labels with quotes and newlines inside; six have no text."""
    words = [row["text"] for row in tiny_rows(seed=5, count=500)]
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "text"])
        for row in range(ROWS):
            writer.writerow([row, "" if row % 500 == 7 else f'a "{words[row % 500]}" film,\nnumber {row}'])
    return file


def assert_as_score_says(scored_by_spark: Path, file: Path, artifact: Path, local: Path) -> None:
    """``scored_by_spark`` has JSON Lines with the answers that ``slipway score`` gives of ``file``."""
    manifest = score_file(file, artifact, local)
    with (local / manifest["results"][0]["key"]).open(newline="") as scored:
        expected = {row["id"]: row for row in csv.DictReader(scored)}
    lines = [line for part in scored_by_spark.glob("part-*") for line in part.read_text().splitlines()]
    found = {row["id"]: row for row in map(json.loads, lines)}
    assert len(lines) == len(found) == ROWS
    assert len({row["label"] for row in expected.values()}) == 2
    refused = {key for key, row in found.items() if "reason" in row}
    assert refused == found.keys() - expected.keys()
    assert len(refused) == manifest["errors"] == REFUSED
    for key, row in expected.items():
        assert found[key]["text"] == row["text"]
        assert (found[key]["label"], found[key]["model_version"]) == (row["label"], row["model_version"])
        assert found[key]["score"] == pytest.approx(float(row["score"]), abs=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")
def test_the_same_answers_as_slipway_score(tiny_artifact: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    file = write_films(tmp_path / "films.csv")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "layers/runtime/python"),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_SUBMIT_ARGS": "--master local[2] --conf spark.ui.enabled=false pyspark-shell",
    }
    command = [sys.executable, "-m", "slipway.spark", str(file), str(tmp_path / "spark")]
    subprocess.run([*command, "--artifact", str(tiny_artifact), "--format", "json"], env=environment, check=True)
    assert_as_score_says(tmp_path / "spark", file, tiny_artifact, tmp_path / "local")
