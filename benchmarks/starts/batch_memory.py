"""Plan a file, or score its first shard, and say how much memory that took: ``plan|score FILE ARTIFACT OUT``."""

import json
import sys
from pathlib import Path

from benchmarks.peers.loop import memory
from slipway.batch.job import Job, Shard
from slipway.batch.places import Folder
from slipway.batch.planning import plan
from slipway.batch.scoring import score
from slipway.batch.sources import FileSource
from slipway.loading import load_predictor


def main(step: str, file: Path, artifact: Path, out: Path) -> None:
    """Prints bytes: resident at most."""
    source, place = FileSource(file), Folder(out)
    job = Job(model="m", model_version="v", bucket="", key=file.name, size=source.size, etag="", local=True)
    made = plan(job, source, place)
    if step == "score":
        kept = place.read(f"{job.folder}shards.jsonl")
        assert kept  # noqa: S101  it was just written
        score(made, Shard(**json.loads(kept[0].splitlines()[0])), load_predictor(artifact), source, place)
    sys.stdout.write(f"{memory()['peak']}\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
