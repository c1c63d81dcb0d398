"""A file of a batch job, in memory: planned and read as the workflow does, without a model."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from slipway.batch import parquet
from slipway.batch.job import Job, Plan, Shard
from slipway.batch.planning import plan
from slipway.batch.rows import rows_of
from slipway.errors import BatchError

NAMES = ("rows.csv", "rows.jsonl", "rows.txt", "rows.csv.gz", "rows.jsonl.zst", "rows.parquet", "rows", "rows.tsv")


class Held:
    """A source and a place in memory."""

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self._content = content
        self._kept: dict[str, bytes] = {}

    def read_bytes(self, start: int, end: int) -> bytes:
        return self._content[start:end]

    def read(self, name: str) -> tuple[bytes, str] | None:
        kept = self._kept.get(name)
        return None if kept is None else (kept, "")

    def create(self, name: str, body: bytes) -> bool:
        return self._kept.setdefault(name, body) is body

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        self._kept[name] = b"".join(chunks)
        return len(self._kept[name])

    def names(self, under: str = "") -> Iterator[str]:
        return iter(sorted(name for name in self._kept if name.startswith(under)))

    def url(self, name: str = "") -> str:
        return name


class Content:
    """The file's bytes as a source."""

    def __init__(self, held: Held) -> None:
        self.size = held.size
        self.read = held.read_bytes


def read_file(data: bytes) -> None:
    """The first byte chooses the file's name. Every row that was counted is read, in order, or the file is refused."""
    if not data:
        return
    name, held = NAMES[data[0] % len(NAMES)], Held(data[1:])
    job = Job(model="demo", model_version="v", bucket="b", key=f"inbox/demo/{name}", size=held.size, etag="e")
    with suppress(BatchError):
        made = plan(job, Content(held), held)
        numbers = [number for shard in shards(made, held) for number in _numbers(made, shard, held)]
        if numbers != list(range(1, made.rows + 1)):
            raise AssertionError(f"{made.rows} rows were counted, and {numbers[:20]} … were read")


def shards(made: Plan, held: Held) -> Iterator[Shard]:
    import json

    kept = held.read(f"{made.job.folder}shards.jsonl")
    return (Shard(**json.loads(line)) for line in (kept[0] if kept else b"").splitlines())


def _numbers(made: Plan, shard: Shard, held: Held) -> Iterator[int]:
    if made.format.kind == "parquet":
        at = shard.first_row
        for batch in parquet.batches(made.job.name, Content(held), shard, 1_024, 0):
            yield from (row.number for row in parquet.rows_of(batch, "text", first_row=at))
            at += len(batch)
        return
    cut = held.read(shard.cut) if shard.cut else None
    data = cut[0] if cut else held.read_bytes(shard.start, shard.end)
    yield from (row.number for row in rows_of(data, made.format, "text", first_row=shard.first_row))
