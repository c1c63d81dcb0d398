"""A window of time: the counts that the API's log lines hold of it, how it compares, and how it is kept.

    drift/<model>/<version>/<end>.json    one a whole hour, in the model bucket; it expires after 90 days

A line of the log has the counts of one request's texts under ``Drift``, with its version and never a text. Of a busy
hour not all lines are read: the first ``_REQUESTS`` of each two minutes say as much as a test can use.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self

from slipway.drift.bins import STATISTICS, Bins, Counts, add, texts_in
from slipway.drift.comparing import FEWEST, Change, compare
from slipway.errors import StoreError
from slipway.objects import Objects

HOUR = 3_600  # seconds
HOURS_BACK = 24  # that a window may grow to where an hour has too few texts
_SLICES, _REQUESTS, _PAGES = 30, 200, 10  # of an hour; read of a slice; calls that may take


@dataclass(frozen=True, kw_only=True)
class Window:
    """Seconds since 1970; ``counts`` are of ``requests`` that were read in the window itself.

    ``compared`` is how many texts were compared: more than in ``counts`` where those of the hours before had to be
    added, ``hours_back`` of them. ``changes`` is empty if all these were too few.
    """

    model: str
    version: str
    start: int
    end: int
    requests: int
    counts: Counts
    compared: int
    hours_back: int
    changes: list[Change]

    @property
    def drifted(self) -> list[str]:
        """The statistics that have changed too much."""
        return [change.statistic for change in self.changes if change.drifted]

    @property
    def name(self) -> str:
        """Under the prefix of ``kept_windows``."""
        return f"{self.version}/{hour_name(self.end)}"

    def to_dict(self) -> dict[str, Any]:
        """For people and for the store."""
        changes = [change._asdict() | {"drifted": change.drifted} for change in self.changes]
        return asdict(self) | {"changes": changes, "drifted": self.drifted}

    @classmethod
    def from_json(cls, raw: bytes, *, source: str) -> Self:
        """What ``to_dict`` gave. Raises StoreError naming ``source``."""
        try:
            document: dict[str, Any] = json.loads(raw)
            document.pop("drifted")
            found = document.pop("changes")
            changes = [Change(each["statistic"], float(each["psi"]), float(each["p"])) for each in found]
            return cls(**document, changes=changes)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{source} is no window of drift: {error}.", remedy="Remove it.") from error


def hour_name(end: int) -> str:
    """The name of the window that ends then."""
    return f"{datetime.fromtimestamp(end, UTC):%Y%m%dT%H%M%SZ}.json"


def kept_windows(bucket: str, model: str, client: Any = None) -> Objects:
    """Where the windows of a model are."""
    return Objects(bucket, f"drift/{model}/", client)


def measure(
    logs: Any, group: str, kept: Objects, *, model: str, version: str, bins: Bins, baseline: Counts, end: int
) -> Window:
    """The hour before ``end``: read from the log ``group`` through the client ``logs``, and compared."""
    counts, requests = bins.none(), 0
    for document in _lines(logs, group, version, end - HOUR, end):
        counts, requests = _added(counts, document, bins), requests + 1
    wide, back = _widened(counts, kept, version, end - HOUR)
    return Window(
        model=model,
        version=version,
        start=end - HOUR,
        end=end,
        requests=requests,
        counts=counts,
        compared=texts_in(wide),
        hours_back=back,
        changes=compare(baseline, wide),
    )


def keep(kept: Objects, window: Window) -> None:
    """Write it where ``latest_windows`` finds it."""
    kept.write(window.name, [json.dumps(window.to_dict(), indent=1).encode() + b"\n"])


def latest_windows(kept: Objects, version: str, *, hours: int) -> list[Window]:
    """The last ``hours`` that are kept of a version, oldest first."""
    names = sorted(kept.names(f"{version}/"))[-hours:]
    return [Window.from_json(found[0], source=kept.url(name)) for name in names if (found := kept.read(name))]


def _widened(counts: Counts, kept: Objects, version: str, start: int) -> tuple[Counts, int]:
    """The counts with those of as many hours before as make them enough, if so many are kept; and how many hours."""
    wide, last = counts, start // HOUR * HOUR
    for back in range(HOURS_BACK):
        if texts_in(wide) >= FEWEST:
            return wide, back
        name = f"{version}/{hour_name(last - back * HOUR)}"
        if found := kept.read(name):
            wide = add(wide, Window.from_json(found[0], source=kept.url(name)).counts)
    return wide, HOURS_BACK


def _lines(logs: Any, group: str, version: str, start: int, end: int) -> Iterator[dict[str, Any]]:
    """What the requests of a version left, each slice of the time from its beginning."""
    step = (end - start) / _SLICES
    for index in range(_SLICES):
        begin, stop = (int((start + place * step) * 1e3) for place in (index, index + 1))
        taken = 0
        for message in _messages(logs, group, version, begin, stop - 1):
            if taken < _REQUESTS and (document := _watched(message, version)):
                taken += 1
                yield document


def _messages(logs: Any, group: str, version: str, begin: int, stop: int) -> Iterator[str]:
    """Lines with the version between two milliseconds, inclusive; a page may be empty and not the last one."""
    what = {"logGroupName": group, "filterPattern": f'"{version}"', "startTime": begin, "endTime": stop}
    found = 0
    for _ in range(_PAGES):
        page = logs.filter_log_events(**what, limit=_REQUESTS)
        yield from (event["message"] for event in page["events"])
        found += len(page["events"])
        if found >= _REQUESTS or not page.get("nextToken"):
            return
        what["nextToken"] = page["nextToken"]


def _watched(message: str, version: str) -> dict[str, Any] | None:
    """The counts of a request; None of any other line, which is nobody's mistake."""
    try:
        document = json.loads(message)
        return document["Drift"] if document["model_version"] == version else None
    except (ValueError, KeyError, TypeError):
        return None


def _added(counts: Counts, document: Mapping[str, Mapping[str, int]], bins: Bins) -> Counts:
    """With those of one request, which are told by the bins that have any."""
    more = bins.none()
    for name in STATISTICS:
        for index, texts in document[name].items():
            more[name][int(index)] += texts
    return add(counts, more)
