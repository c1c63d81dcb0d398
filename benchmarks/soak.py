"""A function that answers for a long time while its live version changes: requests lost, time taken, memory held."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.events import function_environment
from benchmarks.measure import Sample, Skipped
from benchmarks.options import Options
from benchmarks.peers.roster import main_peer
from benchmarks.peers.worker import Peer, Worker
from benchmarks.tables import Measured, Table, megabytes, milliseconds
from benchmarks.texts import Texts
from infra.local_cloud import LocalCloud, LocalCloudError
from infra.local_cloud.ports import free_port
from slipway.artifact import MANIFEST, read_manifest
from slipway.store import Store

_BUCKET = "soak"
_POLL_SECONDS = 0.05  # so that no change of version is skipped
_KINDS_OF_TEXT = 997
_FAILED = re.compile(r"^FAILED .*", re.MULTILINE)


@dataclass
class Soak:
    """What was seen: seconds of each request, bytes resident after each chunk, changes of the live version."""

    quiet: list[float] = field(default_factory=list)
    changing: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    changes: int = 0


def measure(options: Options) -> Measured:
    """One table. Raises Skipped where there is no local cloud to promote in."""
    cloud = LocalCloud(options.folder("soak-cloud"), free_port())
    try:
        cloud.start()
        store, versions = _two_versions(cloud, options.artifact)
        return _measure(options, cloud, store, versions)
    except LocalCloudError as error:
        raise Skipped(str(error)) from error
    finally:
        cloud.stop()


def _measure(options: Options, cloud: LocalCloud, store: Store, versions: Sequence[str]) -> Measured:
    logs = options.folder("logs")
    with Worker(_peer(cloud, store.model), logs) as worker:
        soak = _run(options, worker, store, versions)
        log = worker.log.read_text(errors="replace")
    lines = Counter((line.get("message"), line.get("model_version")) for line in _lines(log))
    table = _table(soak, _FAILED.findall(log), lines)
    return Measured([table], {"quiet p99": float(np.quantile(soak.quiet, 0.99))})


def _run(options: Options, worker: Worker, store: Store, versions: Sequence[str]) -> Soak:
    """A quiet part, then ``changes`` promotions and as many rollbacks, each followed by a chunk of requests.

    The quiet part is as long: the longest of many requests is the machine's as much as the function's.
    """
    soak = Soak()
    chunk, changes = options.count(1000, 200), options.count(50, 2)
    texts = cycle([text] for text in Texts.of(options.artifact).long_tailed(_KINDS_OF_TEXT))
    worker.time(list(islice(texts, chunk)))  # warms up
    for number in range(2 * changes):
        options.progress(f"quiet, {number} of {2 * changes}")
        soak.quiet += _seconds(worker.time(list(islice(texts, chunk))))
    for number in range(changes):
        options.progress(f"promotion and rollback {number + 1} of {changes}")
        store.promote(versions[1], by="benchmarks", why="soak")
        soak.changing += _seconds(worker.time(list(islice(texts, chunk))))
        store.rollback(by="benchmarks", why="soak")
        soak.changing += _seconds(worker.time(list(islice(texts, chunk))))
        soak.changes += 2
        soak.resident.append(worker.memory()["resident"])
    return soak


def _table(soak: Soak, failed: Sequence[str], lines: Counter[tuple[object, object]]) -> Table:
    answered = [count for (message, _), count in lines.items() if message == "predicted"]
    followed = sum(count for (message, _), count in lines.items() if message == "serving") - 1
    requests = len(soak.quiet) + len(soak.changing)
    p99 = float(np.quantile(soak.quiet, 0.99))
    longest = max(soak.changing)
    quiet_over, over = (sum(seconds > 3 * p99 for seconds in part) for part in (soak.quiet, soak.changing))
    early, late = (float(np.mean(part)) for part in np.array_split(np.array(soak.resident), 2))
    rows = [
        ["requests, one text each", f"{requests:,}"],
        ["answered with other than 200", f"{len(failed):,}"],
        ["changes of the live version", f"{soak.changes} (followed {followed} times)"],
        ["requests by version", ", ".join(f"{count:,}" for count in answered)],
        ["ms, p50 and p99, quiet", f"{milliseconds(float(np.median(soak.quiet)))}, {milliseconds(p99)}"],
        [
            "ms, p50 and p99, while versions change",
            f"{milliseconds(float(np.median(soak.changing)))}, {milliseconds(float(np.quantile(soak.changing, 0.99)))}",
        ],
        ["longest, quiet", f"{milliseconds(max(soak.quiet))} ms, {max(soak.quiet) / p99:.1f} times p99"],
        ["longest, while versions change", f"{milliseconds(longest)} ms, {longest / p99:.1f} times the quiet p99"],
        ["requests beyond 3 times the quiet p99", f"{over:,}; quiet {quiet_over:,}"],
        ["resident MB, first half and second half", f"{megabytes(early)}, {megabytes(late)} ({late / early - 1:+.1%})"],
    ]
    return Table(
        title="(h) Soak",
        reading="One process of the predict function answers texts of long-tailed lengths, half of them with one "
        "version, half while for each thousand another version is promoted or rolled back in the local cloud's S3.",
        head=["", ""],
        rows=rows,
        notes=[f"First failure: {failed[0]}"] if failed else [],
    )


def _two_versions(cloud: LocalCloud, artifact: Path) -> tuple[Store, list[str]]:
    """The artifact and a twin of another date, published; the first is live."""
    client = cloud.client("s3")
    client.create_bucket(Bucket=_BUCKET)
    manifest = replace(read_manifest(artifact), serve="int8")
    store = Store(_BUCKET, manifest.model, client)
    versions = []
    for year in ("2024", "2025"):
        twin = replace(manifest, created=year + manifest.created[4:], version="")
        with TemporaryDirectory() as folder:
            for name in manifest.files:
                (path := Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(artifact / name)
            (Path(folder) / MANIFEST).write_bytes(twin.to_json())
            versions.append(store.publish(Path(folder)))
    store.promote(versions[0], by="benchmarks", why="soak")
    return store, versions


def _peer(cloud: LocalCloud, model: str) -> Peer:
    variables = function_environment(model, _BUCKET, cloud.endpoint_url)
    return replace(
        main_peer("soaked", model),
        name="soak",
        variables=variables | {"SLIPWAY_POLL_SECONDS": str(_POLL_SECONDS)},
    )


def _seconds(samples: Sequence[Sample]) -> list[float]:
    return [sample.wall for sample in samples]


def _lines(log: str) -> Iterator[dict[str, object]]:
    return (json.loads(line) for line in log.splitlines() if line.startswith("{"))
