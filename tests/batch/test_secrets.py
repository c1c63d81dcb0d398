"""A file with good rows and every kind of bad one, through the whole workflow: the logs and events quote no row."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from slipway.predictor import Predictor
from tests.batch.conftest import Told, uploaded

TEXT = "Zx9secretQw"
ROWS = [
    json.dumps({"text": f"a lovely {TEXT} film", "id": TEXT}),
    json.dumps({"text": None, "note": TEXT}),
    json.dumps({"text": 5, TEXT: TEXT}),
    json.dumps([TEXT]),
    json.dumps({TEXT: TEXT}),
    f'{{"text": "{TEXT}',
    json.dumps({"text": f"{TEXT}\0"}),
    json.dumps({"text": f"{TEXT} " * 300_000}),
    "[" * 3_000 + TEXT,
]
FILE = "\n".join(ROWS).encode() + b"\n" + TEXT.encode() + b"\xff\n"


@pytest.fixture
def heard(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything that was written so far: standard output and error, and what loggers were told."""
    caplog.set_level("DEBUG")
    written: list[str] = []

    def read() -> str:
        captured = capfd.readouterr()
        written.extend([captured.out, captured.err, *(str(vars(record)) for record in caplog.records)])
        return "\n".join(written)

    return read


def shards(s3: Any, planned: dict[str, Any]) -> list[dict[str, Any]]:
    lines = s3.get_object(Bucket="slipway-data", Key=planned["shards"])["Body"].read().splitlines()
    return [{"folder": planned["folder"], "shard": json.loads(line)} for line in lines]


def test_a_file_goes_through_and_its_rows_are_in_its_results_alone(
    function: Any, s3: Any, told: Told, version: str, heard: Callable[[], str]
) -> None:
    function("start")(uploaded(s3, "inbox/demo/films.jsonl", FILE))
    ((_, execution),) = told.executions
    planned = function("plan")(execution)
    for shard in shards(s3, planned):
        assert function("score")(shard)["final"]
    finished = function("finish")({"folder": planned["folder"]})
    assert finished["scored"] >= 1
    assert finished["errors"] >= 6
    everything = heard() + json.dumps([planned, finished, told.events, told.executions])
    assert "scored" in everything, "it has been listened to"
    assert TEXT not in everything


def test_a_crash_in_a_step_tells_where_and_not_what(
    function: Any, s3: Any, told: Told, version: str, heard: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> Any:
        raise ValueError(f"a lovely {TEXT} film")

    function("start")(uploaded(s3, "inbox/demo/films.jsonl", FILE))
    ((_, execution),) = told.executions
    planned = function("plan")(execution)
    monkeypatch.setattr(Predictor, "classify", crash)
    with pytest.raises(Exception, match=r"^ValueError$") as raised:
        function("score")(shards(s3, planned)[0])
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None, "the runtime prints it"
    everything = heard()
    assert "crashed" in everything
    assert "test_secrets.py" in everything
    assert TEXT not in everything
