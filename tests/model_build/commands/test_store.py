"""The command line of the model store: candidates beside the live version, their history, and two versions compared."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from slipway.artifact import MANIFEST, read_manifest
from slipway.releases import Canary, Live, Shadow
from slipway.store import Store
from tests.conftest import BUCKET
from tests.model_build.conftest import Run, assert_refused

IN_STORE = ["--bucket", BUCKET, "--model", "demo"]


@pytest.fixture
def first(store: Store, tiny_artifact: Path) -> str:
    """A version that is live."""
    version = store.publish(tiny_artifact)
    store.promote(version, by="ada", why="first")
    return version


@pytest.fixture
def second(store: Store, second_artifact: Path) -> str:
    """A version that is published."""
    return store.publish(second_artifact)


def _live(store: Store) -> Live:
    live = store.live()
    assert live
    return live


def _rows(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


# --- promote --canary and --shadow


def test_a_canary_is_given_in_per_cent(store: Store, first: str, second: str, slipway: Run) -> None:
    outcome = slipway("promote", second, *IN_STORE, "--canary", "10", "--by", "ada", "--why", "a try", "--json")
    assert outcome.document["canary"] == {"version": second, "weight": 0.1}
    assert (outcome.document["version"], outcome.document["action"]) == (first, "canary")
    assert _live(store).canary == Canary(second, 0.1)


def test_what_answers_how_much_is_said_in_words(first: str, second: str, slipway: Run) -> None:
    canary = slipway("promote", second, *IN_STORE, "--canary", "2.5").out.splitlines()
    assert canary == [f"demo {first} is live", f"{second} answers 2.5% of the requests as a canary"]
    shadow = slipway("promote", second, *IN_STORE, "--shadow").out.splitlines()
    assert shadow == [f"demo {first} is live", f"{second} scores 100% of the requests as a shadow"]
    assert slipway("promote", second, *IN_STORE).out == f"demo {second} is live\n"


@pytest.mark.parametrize(("options", "share"), [([], 1.0), (["--share", "10"], 0.1), (["--share", "100"], 1.0)])
def test_a_shadow_scores_every_request_or_its_share(
    store: Store, first: str, second: str, slipway: Run, options: list[str], share: float
) -> None:
    assert slipway("promote", second, *IN_STORE, "--shadow", *options).code == 0
    assert _live(store).shadow == Shadow(second, share)


@pytest.mark.parametrize(
    "options",
    [
        ["--canary", "0"],
        ["--canary", "100"],
        ["--canary", "-5"],
        ["--canary", "nan"],
        ["--canary", "ten"],
        ["--shadow", "--share", "0"],
        ["--shadow", "--share", "101"],
        ["--share", "10"],
        ["--canary", "10", "--share", "10"],
        ["--canary", "10", "--shadow"],
    ],
    ids=" ".join,
)
def test_misuse_exits_with_2_and_changes_nothing(
    store: Store, first: str, second: str, slipway: Run, options: list[str]
) -> None:
    outcome = slipway("promote", second, *IN_STORE, *options)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert len(store.history()) == 1


@pytest.mark.parametrize("options", [["--canary", "10"], ["--shadow"]], ids=" ".join)
def test_a_candidate_that_cannot_be_tried_is_one_line(
    store: Store, tiny_artifact: Path, slipway: Run, options: list[str]
) -> None:
    version = store.publish(tiny_artifact)
    assert_refused(slipway("promote", version, *IN_STORE, *options), "No version of 'demo' is live", "Promote it")
    store.promote(version, by="ada", why="")
    assert_refused(slipway("promote", "latest", *IN_STORE, *options), version, "beside itself")
    unknown = "20200101T000000Z-000000000000"
    assert_refused(slipway("promote", unknown, *IN_STORE, *options), unknown)


def test_the_canary_is_promoted_by_its_label(store: Store, first: str, second: str, slipway: Run) -> None:
    assert_refused(slipway("promote", "canary", *IN_STORE), "'canary'")
    slipway("promote", second, *IN_STORE, "--canary", "10")
    assert slipway("promote", "canary", *IN_STORE).code == 0
    live = _live(store)
    assert (live.version, live.action, live.canary) == (second, "promote", None)


# --- rollback and history


def test_a_rollback_withdraws_the_canary_first_and_then_the_promotion(
    store: Store, first: str, second: str, slipway: Run
) -> None:
    slipway("promote", second, *IN_STORE)
    slipway("promote", first, *IN_STORE, "--canary", "50")
    withdrawn = slipway("rollback", *IN_STORE, "--why", "worse", "--json").document
    assert (withdrawn["version"], withdrawn["action"], withdrawn["canary"]) == (second, "withdraw", None)
    back = slipway("rollback", *IN_STORE, "--json").document
    assert (back["version"], back["action"]) == (first, "rollback")


def test_a_rollback_to_a_version_passes_over_the_canary(first: str, second: str, slipway: Run) -> None:
    slipway("promote", second, *IN_STORE, "--canary", "50")
    back = slipway("rollback", "--to", second, *IN_STORE, "--json").document
    assert (back["version"], back["action"], back["canary"]) == (second, "rollback", None)


def test_history_shows_candidates_and_marks_what_still_holds(
    first: str, second: str, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    slipway("promote", second, *IN_STORE, "--canary", "10", "--by", "bob", "--why", "start")
    slipway("promote", second, *IN_STORE, "--canary", "50", "--by", "bob", "--why", "more")
    _, grown, begun, promoted = _rows(slipway("history", *IN_STORE).out)
    assert (grown[0], grown[3:7]) == ("canary", [second, "canary", "50%", "bob"])
    assert begun[2:6] == [second, "canary", "10%", "bob"], "without a mark: it does not hold any more"
    assert (promoted[0], promoted[3:5]) == ("live", [first, "promote"])
    slipway("promote", second, *IN_STORE, "--shadow", "--share", "20")
    slipway("rollback", *IN_STORE)
    rows = _rows(slipway("history", *IN_STORE).out)
    assert [row[0] for row in rows if row[0] in ("live", "canary", "shadow")] == ["live"]
    assert [first, "withdraw"] == rows[1][2:4]
    assert [second, "shadow", "20%"] == rows[2][2:5]
    documents = slipway("history", *IN_STORE, "--json").document
    assert [entry["action"] for entry in documents] == ["withdraw", "shadow", "canary", "canary", "promote"]


def test_of_a_rollback_and_the_promotion_it_returns_to_only_the_rollback_is_marked(
    first: str, second: str, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    slipway("promote", second, *IN_STORE)
    slipway("rollback", *IN_STORE)
    _, *rows = _rows(slipway("history", *IN_STORE).out)
    assert [row[0] == "live" for row in rows] == [True, False, False]


# --- diff


def test_diff_shows_two_versions_side_by_side(
    first: str, second: str, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = slipway("diff", first, second, *IN_STORE).out
    rows = _rows(out)
    assert rows[:2] == [["A", first], ["B", second]]
    assert ["training", "seed", "13", "14", "+1"] in rows
    assert ["data", "the", "same"] in rows
    assert ["configuration", "and", "code", "differs"] in rows
    assert ["labels", "the", "same"] in rows
    accuracy = next(row for row in rows if row[:3] == ["test", "int8", "accuracy"])
    assert all(0 < float(value) <= 1 for value in accuracy[3:5])
    assert any(row[:3] == ["int8", "ms", "alone"] for row in rows)
    assert "fp16 accuracy" not in out, "nobody serves it on a CPU"


def test_diff_is_whole_when_it_is_not_read_from_a_terminal(
    first: str, second: str, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    out = slipway("diff", first, second, *IN_STORE).out
    assert out.startswith(f"A {first}\nB {second}\n")
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_diff_as_json_has_every_metric_of_every_variant(store: Store, first: str, second: str, slipway: Run) -> None:
    document = slipway("diff", first, second, *IN_STORE, "--json").document
    assert (document["a"], document["b"], document["same_data"]) == (first, second, True)
    for split, variants in store.manifest(first).metrics.items():
        for variant, metrics in variants.items():
            for name, value in metrics.items():
                assert document["metrics"][split][variant][name]["a"] == value
    assert document["training"]["seed"] == {"a": 13, "b": 14, "difference": 1}


def test_diff_names_labels_that_came_and_went(
    store: Store, first: str, tiny_artifact: Path, tmp_path: Path, slipway: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    directory = Path(shutil.copytree(tiny_artifact, tmp_path / "other"))
    changes: dict[str, Any] = {"labels": ["[bad]", "positive"], "created": "2020-01-01T00:00:00Z"}
    changed = dataclasses.replace(read_manifest(directory), version="", **changes)
    (directory / MANIFEST).write_bytes(changed.to_json())
    other = store.publish(directory)
    assert ["labels", "+[bad]", "-negative"] in _rows(slipway("diff", first, other, *IN_STORE).out)


def test_diff_takes_labels_and_refuses_what_is_not_there(first: str, second: str, slipway: Run) -> None:
    slipway("promote", second, *IN_STORE, "--canary", "10")
    document = slipway("diff", "live", "canary", *IN_STORE, "--json").document
    assert (document["a"], document["b"]) == (first, second)
    assert_refused(slipway("diff", "live", "shadow", *IN_STORE), "'shadow'")
    assert_refused(slipway("diff", first, "20200101T000000Z-000000000000", *IN_STORE), "20200101T000000Z")
