"""Whose the outbox is, what an end leaves that came before, and how many parts are read at once."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.batch import finishing
from slipway.batch.finishing import fail, finish, superseded_by
from slipway.batch.job import Job
from slipway.batch.places import Folder
from slipway.errors import StoreError

TEXT = b"good film\n\nbad film\n"


def started(run: Any, sequencer: str = "") -> Job:
    """What ``start`` leaves of a job."""
    run.job = replace(run.job, sequencer=sequencer)
    run.place.create(f"{run.job.folder}job.json", run.job.to_json())
    run.place.write(run.job.pointer, [run.job.id.encode()])
    return run.job  # type: ignore[no-any-return]


def scored(run: Any) -> Any:
    run.plan()
    for shard in run.shards():
        assert run.score(shard)
    return run


def outbox(run: Any) -> dict[str, Any]:
    return {name: run.place.read(name) for name in run.place.names("outbox/")}


def manifest(run: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run.place.read(f"{run.job.folder}manifest.json")[0])
    return document


@pytest.fixture
def jobs(batch: Any) -> tuple[Any, Any]:
    """Two uploads of one path, the older one first."""
    older, newer = batch("x.txt", TEXT), batch("x.txt", TEXT.replace(b"film", b"plot"))
    newer.place = older.place
    return older, newer


def test_an_older_job_that_ends_last_leaves_the_outbox_as_it_is(jobs: Any) -> None:
    older, newer = jobs
    for run in jobs:
        started(run)
        scored(run)
    newer.finish()
    before = outbox(newer)
    document = older.finish()
    assert outbox(newer) == before
    assert (document["state"], document["superseded_by"], document["rows"]) == ("finished", newer.job.id, 3)
    assert manifest(older) == document
    assert "superseded_by" not in manifest(newer)
    keys = [document["errors_key"], *(result["key"] for result in document["results"])]
    assert all(key.startswith(older.job.folder) for key in keys)
    assert b"film" in older.place.read(keys[1])[0]


def test_an_older_job_that_fails_last_leaves_the_outbox_as_it_is(jobs: Any) -> None:
    older, newer = jobs
    for run in jobs:
        started(run)
    scored(newer).finish()
    before = outbox(newer)
    assert fail(older.job, older.place, "S3 was away.")["superseded_by"] == newer.job.id
    assert outbox(newer) == before
    assert manifest(older)["state"] == "failed"


def test_a_newer_job_that_begins_while_results_are_written_is_noticed(
    jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = jobs
    started(older)
    scored(older)
    joined = finishing._joined

    def slowly(*what: Any) -> Any:
        yield from joined(*what)
        started(newer)
        monkeypatch.setattr(finishing, "_joined", joined)
        scored(newer).finish()

    monkeypatch.setattr(finishing, "_joined", slowly)
    assert older.finish()["superseded_by"] == newer.job.id
    assert b"plot" in newer.results()


def test_a_pointer_that_an_older_event_moved_back_is_mended(jobs: Any) -> None:
    older, newer = jobs
    started(newer, "0062")
    started(older, "0061")
    for run in jobs:
        scored(run)
    assert "superseded_by" not in newer.finish()
    assert newer.place.read(newer.job.pointer)[0].decode() == newer.job.id
    assert older.finish()["superseded_by"] == newer.job.id
    assert b"plot" in newer.results()


def test_without_an_order_the_pointer_says_which_job_is_the_newer(jobs: Any) -> None:
    older, newer = jobs
    started(older)
    older.place.write(older.job.pointer, [newer.job.id.encode()])
    assert superseded_by(older.job, older.place) == newer.job.id
    assert superseded_by(newer.job, newer.place) == ""


def test_a_finished_job_is_never_failed_and_a_failed_one_may_be_finished(batch: Any) -> None:
    run = batch("x.txt", TEXT)
    assert fail(run.job, run.place, "S3 was away.")["state"] == "failed"
    document = scored(run).finish()
    assert document["state"] == "finished"
    before = outbox(run)
    assert fail(run.job, run.place, "S3 was away.") == document
    assert outbox(run) == before
    assert manifest(run)["state"] == "finished"


def test_a_job_whose_name_leaves_no_room_for_a_manifest_fails_in_its_own_folder(tmp_path: Path) -> None:
    job = Job(model="m", model_version="v", bucket="b", key="inbox/m/".ljust(1_020, "a"), size=1, etag="e")
    place = Folder(tmp_path)
    fail(job, place, "The name is too long.")
    assert [*place.names()] == [f"{job.folder}manifest.json"]


class Slow(Folder):
    """Answers after a while; counts what is asked for, marks apart, and how much of it at once."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.now = self.most = self.asked = 0
        self._lock = threading.Lock()

    def read(self, name: str) -> tuple[bytes, str] | None:
        if "/done/" in name:
            return super().read(name)
        with self._lock:
            self.asked += 1
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.01)
        with self._lock:
            self.now -= 1
        return super().read(name)


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Slow, list[tuple[str, int]]]:
    place = Slow(tmp_path)
    for number in range(50):
        place.create(f"{number:02d}", f"{number:02d}".encode())
    return place, [(f"{number:02d}", 2) for number in range(50)]


def test_parts_are_read_side_by_side_and_come_in_their_order(parts: Any) -> None:
    place, names = parts
    assert b"".join(finishing._ahead(place, names)).decode() == "".join(name for name, _ in names)
    assert 2 < place.most <= finishing._READERS


def test_no_more_is_read_ahead_than_memory_has_room_for(parts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finishing, "_AHEAD", 6)  # three parts
    place, names = parts
    read = finishing._ahead(place, iter(names))
    for taken, _ in enumerate(read, 1):
        time.sleep(0.002)
        assert place.asked <= taken + 3
    assert place.most <= 3


def test_a_part_that_is_cut_short_is_not_published(parts: Any) -> None:
    place, names = parts
    with pytest.raises(StoreError, match="2 of 3 bytes"):
        list(finishing._ahead(place, [*names[:20], ("20", 3), *names[21:]]))


def test_errors_of_many_shards_come_in_the_order_of_the_rows(batch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.batch.cutting.SHARD_ROWS", 2)
    run = scored(batch("x.txt", b"good film\n\n" * 40))
    slow = Slow(run.place.root)
    finish(run.plan(), slow)
    assert [error["row"] for error in run.errors()] == [*range(2, 81, 2)]
    assert slow.most > 2
