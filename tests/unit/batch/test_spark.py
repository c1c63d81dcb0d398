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

ROOT = Path(__file__).resolve().parents[3]
pytest.importorskip("pyspark")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")
def test_the_same_answers_as_slipway_score(tiny_artifact: Path, tmp_path: Path) -> None:
    file = tmp_path / "films.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "text"])
        for row in range(3_000):
            text = "" if row % 500 == 7 else f'a "{"superb" if row % 3 else "awful"}" film,\nnumber {row % 50}'
            writer.writerow([row, text])
    local = score_file(file, tiny_artifact, tmp_path / "local")
    with (tmp_path / "local" / local["results"][0]["key"]).open(newline="") as scored:
        expected = {row["id"]: row for row in csv.DictReader(scored)}
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "layers/runtime/python"),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_SUBMIT_ARGS": "--master local[2] --conf spark.ui.enabled=false pyspark-shell",
    }
    command = [sys.executable, "-m", "slipway.spark", str(file), str(tmp_path / "spark")]
    subprocess.run([*command, "--artifact", str(tiny_artifact), "--format", "json"], env=environment, check=True)
    lines = [line for part in sorted((tmp_path / "spark").glob("part-*")) for line in part.read_text().splitlines()]
    found = {row["id"]: row for row in map(json.loads, lines)}
    assert len(found) == 3_000
    refused = {key for key, row in found.items() if "reason" in row}
    assert refused == found.keys() - expected.keys()
    assert len(refused) == local["errors"] == 6
    for key, row in expected.items():
        assert found[key]["text"] == row["text"]
        assert (found[key]["label"], found[key]["model_version"]) == (row["label"], row["model_version"])
        assert found[key]["score"] == pytest.approx(float(row["score"]), abs=1e-5)
