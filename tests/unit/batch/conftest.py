"""A job over a file on disk, run to its end in this process."""

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from slipway.batch.finishing import finish
from slipway.batch.job import Job, Plan, Request, Shard
from slipway.batch.places import Folder
from slipway.batch.planning import plan
from slipway.batch.scoring import score
from slipway.batch.sources import FileSource
from slipway.predictor import Predictor


class Run:
    """One job: its place, its source, and its steps."""

    def __init__(self, path: Path, root: Path, predictor: Predictor, request: Request) -> None:
        self.predictor = predictor
        self.place = Folder(root)
        self.source = FileSource(path)
        self.job = Job(
            model=predictor.manifest.model,
            model_version=predictor.manifest.version,
            bucket="data",
            key=f"inbox/{predictor.manifest.model}/{path.name}",
            size=self.source.size,
            etag=hashlib.sha256(path.read_bytes()).hexdigest(),
            request=request,
        )

    def plan(self) -> Plan:
        return plan(self.job, self.source, self.place)

    def shards(self) -> list[Shard]:
        kept = self.place.read(f"{self.job.folder}shards.jsonl")
        assert kept
        return [Shard(**json.loads(line)) for line in kept[0].splitlines()]

    def score(self, shard: Shard, **options: Any) -> bool:
        return score(self.plan(), shard, self.predictor, self.source, self.place, **options)

    def finish(self) -> dict[str, Any]:
        return finish(self.plan(), self.place, memory_mb=1769)

    def all(self) -> dict[str, Any]:
        self.plan()
        for shard in self.shards():
            assert self.score(shard)
        return self.finish()

    def results(self) -> bytes:
        """What the results say, whole and without compression."""
        kept = self.place.read(f"{self.job.outbox}manifest.json")
        assert kept
        parts = [self.place.read(result["key"]) for result in json.loads(kept[0])["results"]]
        data = b"".join(part[0] for part in parts if part)
        if data.startswith(b"\x1f\x8b"):
            return gzip.decompress(data)
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
        return data

    def errors(self) -> list[dict[str, Any]]:
        kept = self.place.read(f"{self.job.outbox}errors.jsonl")
        assert kept
        return [json.loads(line) for line in kept[0].decode().splitlines()]


@pytest.fixture
def batch(tmp_path: Path, predictor: Predictor) -> Callable[..., Run]:
    """A job over these bytes, uploaded under this name."""
    numbers = iter(range(10_000))

    def make(name: str, data: bytes, **request: Any) -> Run:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        (folder / name).write_bytes(data)
        return Run(folder / name, folder / "place", predictor, replace(Request(), **request))

    return make
