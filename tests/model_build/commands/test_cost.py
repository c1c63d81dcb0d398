"""``slipway cost`` at its door."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from model_build.reporting.cost_estimate import Assumptions
from model_build.reporting.cost_work import OVERHEAD_MS
from slipway.prices import TABLE
from tests.model_build.conftest import Run, assert_refused
from tests.model_build.keyword_artifacts import write_artifact


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = {"good": [1.0, 0.0], "bad": [0.0, 1.0]}
    return write_artifact(tmp_path_factory.mktemp("keywords"), words, ["negative", "positive"])


def test_one_document_with_everything_and_a_plot(artifact: Path, tmp_path: Path, slipway: Run) -> None:
    plot = tmp_path / "cost.png"
    options = ["--lengths", "4,8,12", "--memory", "512,1024", "--requests-per-second", "1,50", "--plot", plot, "--json"]
    outcome = slipway("cost", artifact, *options, "--gpu", "ml.g5.xlarge=4100")
    assert outcome.code == 0, outcome.err
    document = outcome.document
    assert [work["tokens"] for work in document["work"]] == [4, 8, 12]
    assert {cost["memory_mb"] for cost in document["lambda"]} == {512, 1024}
    assert document["compared_tokens"] == 8
    measured = {gpu["instance"]: gpu["texts_per_second"] for gpu in document["gpus"]}
    assert measured["ml.g5.xlarge"] == 4100
    assert measured["ml.g6.xlarge"] is None
    assert [month["requests_per_second"] for month in document["months"]] == [1, 50]
    assert document["assumptions"]
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_tables_for_people(artifact: Path, slipway: Run) -> None:
    outcome = slipway("cost", artifact, "--lengths", "8", "--texts-per-request", "3")
    assert outcome.code == 0, outcome.err
    for word in ("keywords", "1,769 MB", "3,008 MB", "arm64", "ml.g4dn.xlarge T4", "not measured", "Unconfirmed"):
        assert word in outcome.out
    assert all(len(line) <= 100 for line in outcome.out.splitlines())


def test_what_is_assumed_unasked_is_what_the_report_assumes(artifact: Path, slipway: Run) -> None:
    document = slipway("cost", artifact, "--lengths", "8", "--json").document
    assert document["assumed"] == dataclasses.asdict(Assumptions())
    assert document["work"][0]["overhead_ms"] == OVERHEAD_MS


def test_every_option_reaches_the_estimate(artifact: Path, slipway: Run) -> None:
    given = {
        "deployed-mb": 1024,
        "cold-starts": 0.5,
        "init-ms": 7.0,
        "log-bytes": 9,
        "utilisation": 0.25,
        "wait-ms": 3.0,
    }
    options = [part for name, value in given.items() for part in (f"--{name}", value)]
    assumed = slipway("cost", artifact, "--lengths", "8", "--json", *options).document["assumed"]
    assert list(assumed.values()) == list(given.values())


def test_gpus_from_a_file_with_their_wait(artifact: Path, tmp_path: Path, slipway: Run) -> None:
    path = tmp_path / "gpus.json"
    entry = {"instance": "ml.g5.xlarge", "tokens": 8, "texts_per_second": 9000, "latency_ms": 7.5}
    path.write_text(json.dumps({"by": "a test", "measured": [entry]}))
    document = slipway("cost", artifact, "--lengths", "8", "--gpu-measured", path, "--json").document
    found = next(gpu for gpu in document["gpus"] if gpu["instance"] == "ml.g5.xlarge")
    assert (found["texts_per_second"], found["wait_ms"]) == (9000, 7.5)
    outcome = slipway("cost", artifact, "--lengths", "4", "--gpu-measured", path)
    assert_refused(outcome, "gpus.json", "8 tokens", "none of 4")


def test_prices_of_ones_own_change_the_bill(artifact: Path, tmp_path: Path, slipway: Run) -> None:
    content = json.loads(TABLE.read_text())
    region = content["regions"]["eu-central-1"] = content["regions"].pop("us-east-1")
    region["services"]["rest_api_million_requests"] |= {"value": 100.0}
    path = tmp_path / "own.json"
    path.write_text(json.dumps(content))
    options = ["--lengths", "8", "--json", "--prices", path, "--region", "eu-central-1"]
    document = slipway("cost", artifact, *options).document
    assert {cost["gateway"] for cost in document["lambda"]} == {100.0}
    assert document["prices"]["region"] == "eu-central-1"


def test_a_deployment_is_priced_by_what_it_measured(slipway: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from model_build.reporting import cost_cloudwatch

    def read(service: str, *, hours: int, region: str | None) -> cost_cloudwatch.Traffic:
        assert (service, hours, region) == ("demo-prod", 48, None)
        numbers: dict[str, Any] = {"requests": 1000, "texts": 2000, "tokens": 64_000, "mean_ms": 20.0, "p50_ms": 18.0}
        return cost_cloudwatch.Traffic(service=service, hours=hours, **numbers)

    monkeypatch.setattr(cost_cloudwatch, "read_traffic", read)
    outcome = slipway("cost", "--cloudwatch", "demo-prod", "--hours", 48, "--json")
    assert outcome.code == 0, outcome.err
    (work,) = outcome.document["work"]
    assert (work["tokens"], work["texts"], work["milliseconds"]) == (32, 2, 20)
    assert "p50" in outcome.document["measured"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--region", "mars-1"], ["'mars-1'", "us-east-1", "--prices"]),
        (["--prices", "/no/such/file"], ["/no/such/file"]),
        (["--utilisation", "0"], ["--utilisation", "0"]),
        (["--utilisation", "nan"], ["--utilisation", "nan"]),
        (["--utilisation", "1.5"], ["--utilisation", "1.5"]),
        (["--wait-ms", "nan"], ["--wait-ms"]),
        (["--cold-starts", "-0.1"], ["--cold-starts"]),
        (["--init-ms", "inf"], ["--init-ms", "inf"]),
        (["--overhead-ms", "nan"], ["--overhead-ms"]),
        (["--log-bytes", "-1"], ["--log-bytes"]),
        (["--hours", "0"], ["--hours"]),
        (["--deployed-mb", "64"], ["--deployed-mb", "64", "128"]),
        (["--memory", "512,lots"], ["--memory", "'lots'"]),
        (["--memory", "20000"], ["--memory", "20000", "10,240"]),
        (["--memory", ""], ["--memory"]),
        (["--lengths", "0"], ["--lengths", "0"]),
        (["--lengths", "1"], ["1 tokens"]),
        (["--texts-per-request", "0"], ["--texts-per-request"]),
        (["--requests-per-second", "1,nan"], ["--requests-per-second", "nan"]),
        (["--gpu", "ml.g5.xlarge"], ["--gpu", "ml.g5.xlarge=4100"]),
        (["--gpu", "ml.p9.huge=10"], ["'ml.p9.huge'", "ml.g5.xlarge"]),
        (["--gpu", "ml.g5.xlarge=0"], ["above zero"]),
        (["--plot", "cost.jpg"], ["cost.jpg", ".png"]),
        (["--plot", "/no/such/place/cost.png"], ["/no/such/place"]),
    ],
    ids=" ".join,
)
def test_refusals_are_one_line(artifact: Path, slipway: Run, options: list[str], words: list[str]) -> None:
    assert_refused(slipway("cost", artifact, *options), *words)


def test_a_price_file_that_lacks_something_is_refused_by_its_name(artifact: Path, tmp_path: Path, slipway: Run) -> None:
    content = json.loads(TABLE.read_text())
    content["regions"]["us-east-1"]["services"].pop("lambda_million_requests")
    (tmp_path / "own.json").write_text(json.dumps(content))
    assert_refused(slipway("cost", artifact, "--prices", tmp_path / "own.json"), "own.json", "lambda_million_requests")


def test_what_is_no_artifact_is_refused(tmp_path: Path, slipway: Run) -> None:
    assert_refused(slipway("cost", tmp_path), str(tmp_path), "manifest.json")
    assert_refused(slipway("cost", "/no/such/artifact"), "/no/such/artifact")


@pytest.mark.parametrize("arguments", [[], ["somewhere", "--cloudwatch", "demo-prod"]])
def test_one_source_of_milliseconds_has_to_be_named(slipway: Run, arguments: list[str]) -> None:
    outcome = slipway("cost", *arguments)
    assert outcome.code == 2
    assert outcome.out == ""
