"""The command line: exit codes, one line for each refusal, one JSON document for each answer."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.artifact import read_manifest
from slipway.store import Store
from tests.conftest import BUCKET, tiny_rows
from tests.model_build.conftest import Run, assert_refused

COMMANDS = ["build", "evaluate", "publish", "promote", "rollback", "history", "predict", "cost"]
IN_STORE = ["--bucket", BUCKET, "--model", "demo"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(slipway: Run, command: str) -> None:
    outcome = slipway(command, "--help")
    assert outcome.code == 0
    assert "Usage:" in outcome.out
    assert "--json" in outcome.out


def test_the_help_lists_every_command_and_the_exit_codes(slipway: Run) -> None:
    outcome = slipway("--help")
    assert outcome.code == 0
    assert all(command in outcome.out for command in COMMANDS)
    assert "Exit codes" in outcome.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["build"],
        ["build", "--no-such-option"],
        ["promote"],
        ["publish", "somewhere"],  # without a bucket
        ["history", "--bucket", "b"],  # without a model
        ["predict"],
        ["predict", "a text"],  # neither an artifact nor a store
        ["predict", "a text", "--bucket", "b"],
    ],
    ids=" ".join,
)
def test_misuse_exits_with_2_and_leaves_stdout_empty(slipway: Run, arguments: list[str]) -> None:
    outcome = slipway(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Traceback" not in outcome.err


def test_a_version_is_published_promoted_used_and_rolled_back(
    bucket: str, tiny_artifact: Path, second_artifact: Path, slipway: Run
) -> None:
    first, second = tiny_artifact.name, second_artifact.name
    for artifact in (tiny_artifact, second_artifact):
        published = slipway("publish", artifact, "--bucket", bucket, "--json")
        assert published.document == {"model": "demo", "version": artifact.name, "bucket": bucket, "signed_by": None}
    assert slipway("history", *IN_STORE, "--json").document == []
    assert slipway("promote", first, *IN_STORE, "--by", "ada", "--why", "first", "--json").document["version"] == first
    latest = max(first, second)
    assert slipway("promote", "latest", *IN_STORE, "--json").document["version"] == latest
    assert slipway("promote", second, *IN_STORE, "--json").document["version"] == second
    assert slipway("predict", "a superb film", *IN_STORE, "--json").document["model_version"] == second
    back = slipway("rollback", *IN_STORE, "--why", "it was worse", "--json")
    assert back.document["version"] == first
    assert (back.document["action"], back.document["why"]) == ("rollback", "it was worse")
    assert slipway("predict", "a superb film", *IN_STORE, "--json").document["model_version"] == first
    entries = slipway("history", *IN_STORE, "--json").document
    assert entries[0] == back.document  # newest first
    assert (entries[-1]["by"], entries[-1]["why"]) == ("ada", "first")


def test_history_is_a_table_with_the_live_version_marked(
    bucket: str, tiny_artifact: Path, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    slipway("publish", tiny_artifact, "--bucket", bucket)
    slipway("promote", tiny_artifact.name, *IN_STORE, "--by", "[red]eve[/red]", "--why", "because [x]")
    head, row = slipway("history", *IN_STORE).out.splitlines()
    assert head.split() == ["at", "(UTC)", "version", "action", "by", "why"]
    for part in ("live", tiny_artifact.name, "promote", "[red]eve[/red]", "because [x]"):
        assert part in row  # brackets are text here, not markup


def test_every_part_of_history_is_there_when_it_is_not_read_from_a_terminal(
    bucket: str, tiny_artifact: Path, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe has no width: a version that is cut short can be neither read nor promoted."""
    monkeypatch.delenv("COLUMNS", raising=False)
    slipway("publish", tiny_artifact, "--bucket", bucket)
    slipway("promote", tiny_artifact.name, *IN_STORE, "--by", "somebody", "--why", "a reason that takes a few words")
    assert tiny_artifact.name in slipway("history", *IN_STORE).out


def test_history_without_a_promotion_says_so(bucket: str, slipway: Run) -> None:
    outcome = slipway("history", *IN_STORE)
    assert outcome.code == 0
    assert outcome.out == "no version of demo was promoted yet\n"


def test_bucket_and_model_come_from_the_environment(
    bucket: str, tiny_artifact: Path, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_MODEL_BUCKET", bucket)
    monkeypatch.setenv("SLIPWAY_MODEL", "demo")
    assert slipway("publish", tiny_artifact).code == 0
    assert slipway("promote", "latest").out == f"demo {tiny_artifact.name} is live\n"
    assert slipway("predict", "a superb film").code == 0


def test_publishing_twice_changes_nothing(bucket: str, tiny_artifact: Path, slipway: Run) -> None:
    outcomes = [slipway("publish", tiny_artifact, "--bucket", bucket, "--json") for _ in range(2)]
    assert outcomes[0].document == outcomes[1].document
    assert Store(bucket, "demo").versions() == [tiny_artifact.name]


def test_predict_answers_every_text_in_order(tiny_artifact: Path, slipway: Run) -> None:
    texts = ["a superb lovely great film", "the plot was awful dull poor"]
    outcome = slipway("predict", *texts, "--artifact", tiny_artifact, "--json")
    assert outcome.document["model_version"] == tiny_artifact.name
    assert [answer["label"] for answer in outcome.document["predictions"]] == ["positive", "negative"]
    plain = slipway("predict", *texts, "--artifact", tiny_artifact).out.splitlines()
    assert [line.split()[0] for line in plain] == ["positive", "negative"]
    assert all(line.endswith(text) for line, text in zip(plain, texts, strict=True))


def test_a_text_that_is_no_unicode_is_refused_in_one_line(tiny_artifact: Path, slipway: Run) -> None:
    """Python hands over bytes of an argument that are not UTF-8 as lone surrogates."""
    assert_refused(slipway("predict", "caf\udce9", "--artifact", tiny_artifact), "Unicode")


def test_json_keeps_what_is_not_ascii(bucket: str, tiny_artifact: Path, slipway: Run) -> None:
    slipway("publish", tiny_artifact, "--bucket", bucket)
    outcome = slipway("promote", "latest", *IN_STORE, "--why", "für die Größe", "--json")
    assert outcome.document["why"] == "für die Größe"


def test_evaluate_prints_one_document_with_every_metric(tiny_artifact: Path, tiny_config: Path, slipway: Run) -> None:
    command = ["evaluate", tiny_artifact, "--config", tiny_config]
    measured = slipway(*command, "--split", "all", "--json").document
    assert set(measured) >= {"accuracy", "macro_f1", "micro_f1", "log_loss", "calibration_error", "texts"}
    assert measured["texts"] == 600
    assert "accuracy" in slipway(*command).out


def test_evaluate_takes_other_data(tiny_artifact: Path, tiny_config: Path, tmp_path: Path, slipway: Run) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in tiny_rows(seed=8, count=100)))
    options = ["--set", f"data.path={path}", "--split", "all", "--json"]
    measured = slipway("evaluate", tiny_artifact, "--config", tiny_config, *options).document
    assert measured["texts"] == 100
    assert measured["accuracy"] > 0.8


def test_evaluate_takes_a_small_file(tiny_artifact: Path, tiny_config: Path, tmp_path: Path, slipway: Run) -> None:
    """Whoever checks a model on new texts need not have enough of them to train on."""
    path = tmp_path / "few.jsonl"
    path.write_text('{"text": "a superb film", "label": "positive"}\n')
    options = ["--set", f"data.path={path}", "--split", "all", "--json"]
    outcome = slipway("evaluate", tiny_artifact, "--config", tiny_config, *options)
    assert outcome.code == 0, outcome.err
    assert outcome.document["texts"] == 1


@pytest.mark.parametrize(("option", "value"), [("--split", "holdout"), ("--variant", "int4")])
def test_an_unknown_split_or_variant_is_refused_by_name(
    tiny_artifact: Path, tiny_config: Path, slipway: Run, option: str, value: str
) -> None:
    assert_refused(slipway("evaluate", tiny_artifact, "--config", tiny_config, option, value), repr(value))


def test_a_label_that_the_artifact_does_not_know_is_refused_by_name(
    tiny_artifact: Path, tiny_config: Path, tmp_path: Path, slipway: Run
) -> None:
    rows = [row | {"label": row["label"].replace("positive", "splendid")} for row in tiny_rows(count=60)]
    path = tmp_path / "other.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = slipway("evaluate", tiny_artifact, "--config", tiny_config, "--set", f"data.path={path}")
    assert_refused(outcome, "'splendid'", "negative, positive")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["promote", "20200101T000000Z-000000000000", *IN_STORE], ["20200101T000000Z-000000000000"]),
        (["promote", "latest", *IN_STORE], ["latest", "Publish it first"]),
        (["promote", "../../etc", *IN_STORE], ["../../etc"]),
        (["rollback", *IN_STORE], ["nothing to roll back to"]),
        (["rollback", *IN_STORE, "--to", "none"], ["'none'"]),
        (["predict", "a text", *IN_STORE], ["live"]),
        (["promote", "latest", "--bucket", "no-such-bucket", "--model", "demo"], ["NoSuchBucket", "cdk deploy"]),
        (["history", "--bucket", "no-such-bucket", "--model", "demo"], ["NoSuchBucket"]),
        (["rollback", "--bucket", "no-such-bucket", "--model", "demo"], ["NoSuchBucket"]),
        (["predict", "a text", "--bucket", "no-such-bucket", "--model", "demo"], ["NoSuchBucket"]),
        (["publish", "/no/such/artifact", "--bucket", BUCKET], ["/no/such/artifact", "manifest.json"]),
        (["predict", "a text", "--artifact", "/no/such/artifact"], ["/no/such/artifact"]),
        (["evaluate", "/no/such/artifact", "--config", "/no/such/config"], ["/no/such/config"]),
        (["build", "--config", "/no/such/config"], ["/no/such/config"]),
    ],
    ids=lambda value: " ".join(value)[:60],
)
def test_refusals_are_one_line_and_exit_with_1(
    bucket: str, slipway: Run, arguments: list[str], words: list[str]
) -> None:
    assert_refused(slipway(*arguments), *words)


def test_publishing_into_a_wrong_bucket_is_one_line(bucket: str, tiny_artifact: Path, slipway: Run) -> None:
    assert_refused(slipway("publish", tiny_artifact, "--bucket", "no-such-bucket"), "no-such-bucket", "NoSuchBucket")


@pytest.mark.parametrize("command", [["publish"], ["predict", "a text", "--artifact"]], ids=["publish", "predict"])
def test_a_file_is_no_artifact(bucket: str, tiny_artifact: Path, slipway: Run, command: list[str]) -> None:
    options = ["--bucket", bucket] if command == ["publish"] else []
    assert_refused(slipway(*command, tiny_artifact / "card.md", *options), "card.md")


def test_a_version_of_another_model_cannot_be_promoted(bucket: str, tiny_artifact: Path, slipway: Run) -> None:
    slipway("publish", tiny_artifact, "--bucket", bucket)
    outcome = slipway("promote", tiny_artifact.name, "--bucket", bucket, "--model", "other")
    assert_refused(outcome, "'other'", tiny_artifact.name)


@pytest.mark.parametrize("name", ["model.int8.onnx.data", "tokenizer.json", "card.md", "manifest.json"])
def test_a_damaged_artifact_is_not_published(
    bucket: str, tiny_artifact: Path, tmp_path: Path, slipway: Run, name: str
) -> None:
    copy = Path(shutil.copytree(tiny_artifact, tmp_path / "copy"))
    raw = bytearray((copy / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copy / name).write_bytes(raw)
    assert_refused(slipway("publish", copy, "--bucket", bucket), name)
    assert Store(bucket, "demo").versions() == []


def test_a_model_name_with_capitals_names_no_model(bucket: str, tiny_artifact: Path, slipway: Run) -> None:
    slipway("publish", tiny_artifact, "--bucket", bucket)
    assert_refused(slipway("promote", "latest", "--bucket", bucket, "--model", "Demo"), "'Demo'")


def test_the_module_runs_and_a_refusal_has_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "model_build", "build", "--config", str(tmp_path / "none.toml")]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1


def test_an_interruption_exits_with_130(
    slipway: Run, tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("model_build.fingerprint.find_built", interrupted)
    assert slipway("build", "--config", tiny_config, "--out", tmp_path).code == 130


def test_the_version_of_a_built_artifact_is_printed(tiny_artifact: Path, tiny_config: Path, slipway: Run) -> None:
    out = tiny_artifact.parents[1]
    outcome = slipway("build", "--config", tiny_config, "--out", out, "--json")
    assert outcome.document["reused"] is True
    assert outcome.document["version"] == read_manifest(tiny_artifact).version
    assert outcome.document["artifact"] == str(tiny_artifact)
