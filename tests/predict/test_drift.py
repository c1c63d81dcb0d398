"""Events in, counts out, the hour compared, the metric put and the alarm's bound reached: everything but AWS itself."""

import dataclasses
import importlib
import json
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from model_build import cli
from slipway.artifact import MANIFEST, read_manifest
from slipway.drift.windows import HOUR, hour_name
from slipway.errors import ArtifactError, ModelUnavailable, StoreError
from slipway.settings.drift import DriftSettings
from slipway.store import Store
from tests.conftest import BUCKET, tiny_rows
from tests.predict.conftest import Caller

GROUP = "/aws/lambda/predict"
SETTINGS = DriftSettings(model="demo", model_bucket=BUCKET, log_group=GROUP, stage="prod")
# Put, measured and asked for within one hour.
pytestmark = pytest.mark.usefixtures("frozen_time")
CHINESE = "这部电影非常好看我很喜欢推荐给大家剧情精彩演员出色音乐动人画面美丽值得一看"


def usual(texts: int, seed: int = 1) -> list[str]:
    """Texts like those that the model was built with, and others than those."""
    return [row["text"] for row in tiny_rows(seed, texts)]


def chinese(texts: int) -> list[str]:
    chooser = random.Random(3)
    return ["".join(chooser.choices(CHINESE, k=chooser.randint(3, 30))) for _ in range(texts)]


@pytest.fixture
def ask(call: Caller, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Send texts through the API's function, some a request; what it printed, which Lambda puts into the log."""

    def asked(texts: list[str], size: int = 20, **parameters: Any) -> list[str]:
        capsys.readouterr()
        for start in range(0, len(texts), size):
            assert call.predict(*texts[start : start + size], **parameters).status == 200
        return capsys.readouterr().out.splitlines()

    return asked


@pytest.fixture
def log(bucket: str) -> Callable[..., None]:
    """Lines arrive in the function's log, spread over the hour before ``end``."""
    client = boto3.client("logs")
    client.create_log_group(logGroupName=GROUP)

    def put(lines: list[str], end: int | None = None) -> None:
        end = int(time.time()) // HOUR * HOUR if end is None else end
        name = f"stream-{random.getrandbits(64):x}"
        client.create_log_stream(logGroupName=GROUP, logStreamName=name)
        step = HOUR * 1_000 // (len(lines) + 1)
        events = [{"timestamp": end * 1_000 - (len(lines) - i) * step, "message": each} for i, each in enumerate(lines)]
        client.put_log_events(logGroupName=GROUP, logStreamName=name, logEvents=events)

    return put


@pytest.fixture
def drift(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in SETTINGS.to_env().items():
        monkeypatch.setenv(name, value)
    sys.modules.pop("functions.drift.handler", None)
    yield importlib.import_module("functions.drift.handler")
    sys.modules.pop("functions.drift.handler", None)


def told(statistic: str = "") -> list[float]:
    """The largest value of the metric that the alarm looks at, or of a statistic's index; empty if none was put."""
    dimensions = {"service": "demo-prod", **({"statistic": statistic} if statistic else {})}
    now = datetime.now(UTC)
    found = boto3.client("cloudwatch").get_metric_statistics(
        Namespace="Slipway",
        MetricName="DriftIndex" if statistic else "Drift",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=HOUR,
        Statistics=["Maximum"],
    )
    return [point["Maximum"] for point in found["Datapoints"]]


def test_an_hour_of_the_usual_raises_no_alarm(ask: Any, log: Any, drift: Any, promoted: str) -> None:
    log(ask(usual(300)))
    window = drift.handler({}, None)
    assert (window["version"], window["compared"], window["requests"]) == (promoted, 300, 15)
    assert window["drifted"] == []
    assert max(told()) < 1
    assert len(told("tokens")) == 1


def test_an_hour_of_another_language_raises_the_alarm(ask: Any, log: Any, drift: Any, promoted: str) -> None:
    log(ask(chinese(300)))
    window = drift.handler({}, None)
    assert "unknown" in window["drifted"]
    assert max(told()) >= 1
    assert max(told("unknown")) > 1


def test_no_text_is_in_the_log_nor_in_the_store(ask: Any, log: Any, drift: Any, promoted: str) -> None:
    lines = ask(["zebra"] * 150)
    log(lines)
    drift.handler({}, None)
    s3 = boto3.client("s3")
    kept = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix="drift/")["Contents"]]
    assert len(kept) == 1
    stored = s3.get_object(Bucket=BUCKET, Key=kept[0])["Body"].read().decode()
    assert "zebra" not in stored + "".join(lines)
    assert json.loads(stored)["compared"] == 150


def test_a_line_tells_the_bins_of_its_texts(ask: Any, promoted: str) -> None:
    one, many = (json.loads(ask(texts)[0])["Drift"] for texts in (usual(1), usual(20)))
    assert [sum(bins.values()) for bins in one.values()] == [1, 1, 1, 1]
    assert [sum(bins.values()) for bins in many.values()] == [20, 20, 20, 20]


def test_logits_are_no_confidence_and_an_abstention_has_a_likeliest_label(ask: Any, promoted: str) -> None:
    assert "Drift" not in json.loads(ask(usual(1), raw_scores=True)[0])
    assert "Drift" in json.loads(ask(usual(1), abstain_below=1, top_k=1)[0])


def test_a_quiet_hour_is_compared_with_the_hours_before(ask: Any, log: Any, drift: Any, promoted: str) -> None:
    end = int(time.time()) // HOUR * HOUR
    for back, texts in ((2, chinese(60)), (0, chinese(60))):
        log(ask(texts), end - back * HOUR)
    before = drift._measured(end - 2 * HOUR)
    assert (before.compared, before.changes) == (60, [])
    drift.keep(drift.kept, before)
    window = drift.handler({}, None)
    assert (window["compared"], window["hours_back"]) == (120, 2)
    assert sum(window["counts"]["labels"]) == 60
    assert "unknown" in window["drifted"]


def test_nights_without_traffic_are_no_news(log: Any, drift: Any, promoted: str) -> None:
    window = drift.handler({}, None)
    assert (window["compared"], window["changes"], told()) == (0, [], [])


def test_the_last_sixty_minutes_are_looked_at_when_asked_and_not_kept(
    ask: Any, log: Any, drift: Any, promoted: str
) -> None:
    log(ask(chinese(200)), int(time.time()))
    window = drift.handler({"now": True}, None)
    assert window["compared"] == 200
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="drift/")
    assert max(told()) >= 1


def test_lines_of_other_versions_and_lines_that_are_none_do_not_count(
    ask: Any, log: Any, drift: Any, promoted: str
) -> None:
    good = ask(usual(120))
    other = [line.replace(promoted, "20200101T000000Z-0123456789ab") for line in good]
    odd = [
        " ",
        "no json " + promoted,
        f'["{promoted}"]',
        json.dumps({"model_version": promoted, "message": "shadowed"}),
    ]
    log([*good, *other, *odd])
    assert drift.handler({}, None)["compared"] == 120


def test_a_busy_hour_is_sampled_over_all_of_it(ask: Any, log: Any, drift: Any, promoted: str) -> None:
    (line,) = ask(usual(1))
    log([line] * 9_000)
    window = drift.handler({}, None)
    assert window["requests"] == 30 * 200


def test_what_has_no_baseline_or_no_live_version_is_said(
    store: Store, drift: Any, log: Any, tiny_artifact: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnavailable, match="live"):
        drift.handler({}, None)
    directory = Path(shutil.copytree(tiny_artifact, tmp_path / "old"))
    manifest = read_manifest(directory)
    kept = {name: value for name, value in manifest.baseline.items() if name != "drift"}
    (directory / MANIFEST).write_bytes(dataclasses.replace(manifest, version="", baseline=kept).to_json())
    store.promote(store.publish(directory), by="ada", why="an artifact of a former release")
    with pytest.raises(ArtifactError, match="Build and promote it again"):
        drift.handler({}, None)


def test_the_command_prints_plots_and_says_what_moved(
    ask: Any, log: Any, drift: Any, promoted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log(ask(chinese(200)))
    drift.handler({}, None)
    plot = tmp_path / "drift.png"
    command = ["drift", "--bucket", BUCKET, "--model", "demo", "--plot", str(plot)]
    with pytest.raises(SystemExit) as ended:
        cli.main(command)
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "unknown tokens" in printed
    assert "drifted" in printed
    assert plot.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit):
        cli.main([*command, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert "unknown" in document["windows"][-1]["drifted"]


def test_the_command_says_what_to_do_where_nothing_is_kept(
    drift: Any, promoted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["drift", "--bucket", BUCKET, "--model", "demo"])
    assert ended.value.code == 1
    assert "No window" in capsys.readouterr().err


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"drifted": [], "changes": [{}]}'])
def test_a_window_that_cannot_be_read_is_named(drift: Any, promoted: str, log: Any, raw: bytes) -> None:
    end = int(time.time()) // HOUR * HOUR - HOUR
    drift.kept.write(f"{promoted}/{hour_name(end)}", [raw])
    with pytest.raises(StoreError, match="no window of drift"):
        drift.handler({}, None)
