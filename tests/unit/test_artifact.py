"""The contract: what a manifest says is what the files are, or it is refused by name."""

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.artifact import (
    MANIFEST,
    MODEL_NAME,
    VERSION,
    Manifest,
    canonical_json,
    describe_file,
    read_manifest,
    verify_files,
)
from slipway.errors import ArtifactError
from tests.unit.conftest import SERVED

_FIELDS = [f.name for f in fields(Manifest)]
_json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def damaged(tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy for all examples of a property; each mends what it broke."""
    return Path(shutil.copytree(tiny_artifact, tmp_path_factory.mktemp("damaged") / "artifact"))


@pytest.fixture(scope="module")
def document(tiny_artifact: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((tiny_artifact / MANIFEST).read_bytes())
    return loaded


def _read(document: object) -> Manifest:
    return Manifest.from_json(json.dumps(document).encode(), source="there/manifest.json")


def test_a_manifest_survives_the_round_trip(tiny_artifact: Path) -> None:
    manifest = read_manifest(tiny_artifact)
    assert Manifest.from_json(manifest.to_json(), source="memory") == manifest
    assert manifest.to_json() == (tiny_artifact / MANIFEST).read_bytes()


def test_a_version_is_the_time_and_the_digest_of_everything_else(tiny_artifact: Path) -> None:
    manifest = read_manifest(tiny_artifact)
    time, _, digest = manifest.version.partition("-")
    assert VERSION.fullmatch(manifest.version)
    assert time == manifest.created.replace("-", "").replace(":", "")
    assert digest == manifest.digest()[:12]
    assert tiny_artifact.name == manifest.version


def test_two_builds_are_two_versions(tiny_artifact: Path, second_artifact: Path) -> None:
    assert read_manifest(tiny_artifact).digest() != read_manifest(second_artifact).digest()


def test_the_manifest_lists_every_other_file(tiny_artifact: Path) -> None:
    found = {str(path.relative_to(tiny_artifact)) for path in tiny_artifact.rglob("*") if path.is_file()}
    assert set(read_manifest(tiny_artifact).files) == found - {MANIFEST}


def test_the_manifest_says_what_serves_a_variant(tiny_artifact: Path) -> None:
    manifest = read_manifest(tiny_artifact)
    assert manifest.serving_files() == manifest.serving_files("int8") == SERVED
    assert manifest.serving_files("fp32") == (*SERVED[:2], "model.fp32.onnx", "model.fp32.onnx.data")
    del manifest.files["vocab.txt"]  # as of a release that wrote none, or of a tokenizer that has none
    assert manifest.serving_files() == (SERVED[0], *SERVED[2:])


def test_a_finished_artifact_verifies(tiny_artifact: Path) -> None:
    verify_files(tiny_artifact, read_manifest(tiny_artifact))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), name=st.sampled_from(SERVED), mask=st.integers(1, 255))
def test_any_changed_byte_is_detected_and_its_file_named(
    damaged: Path, data: st.DataObject, name: str, mask: int
) -> None:
    path = damaged / name
    good = path.read_bytes()
    position = data.draw(st.integers(0, len(good) - 1))
    path.write_bytes(good[:position] + bytes([good[position] ^ mask]) + good[position + 1 :])
    try:
        with pytest.raises(ArtifactError, match=rf"^{name} of .* is damaged"):
            verify_files(damaged, read_manifest(damaged))
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize("name", [*SERVED, "card.md"])
def test_a_missing_cut_or_longer_file_is_named(artifact: Path, name: str) -> None:
    manifest = read_manifest(artifact)
    good = (artifact / name).read_bytes()
    for bad in (b"", good[:-1], good + b"\0"):
        (artifact / name).write_bytes(bad)
        with pytest.raises(ArtifactError, match=rf"^{name} of .* is damaged"):
            verify_files(artifact, manifest)
    (artifact / name).unlink()
    with pytest.raises(ArtifactError, match=rf"^{name} of .* is missing"):
        verify_files(artifact, manifest)


def test_a_file_that_the_manifest_does_not_list_is_not_trusted(tiny_artifact: Path) -> None:
    with pytest.raises(ArtifactError, match=r"has no file extra\.bin"):
        verify_files(tiny_artifact, read_manifest(tiny_artifact), ("extra.bin",))


def test_a_file_replaced_by_a_directory_is_an_artifact_error(artifact: Path) -> None:
    (artifact / "card.md").unlink()
    (artifact / "card.md").mkdir()
    with pytest.raises(ArtifactError, match=r"card\.md"):
        verify_files(artifact, read_manifest(artifact))


def test_a_directory_without_a_manifest_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not a finished artifact"):
        read_manifest(tmp_path)


def test_a_path_that_is_a_file_is_no_artifact(tiny_artifact: Path) -> None:
    with pytest.raises(ArtifactError):
        read_manifest(tiny_artifact / "card.md")


def _other(value: Any) -> Any:
    """A value of the same type that differs."""
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, dict):
        return {**value, "changed": {}}
    return value[1:] if isinstance(value, list) else value + 1


@pytest.mark.parametrize("name", _FIELDS)
def test_a_changed_field_is_detected(document: dict[str, Any], name: str) -> None:
    with pytest.raises(ArtifactError, match=r"there/manifest\.json"):
        _read({**document, name: _other(document[name])})


@pytest.mark.parametrize("name", sorted(set(_FIELDS) - {"version"}))
def test_a_missing_field_is_detected(document: dict[str, Any], name: str) -> None:
    with pytest.raises(ArtifactError, match=r"there/manifest\.json"):
        _read({key: value for key, value in document.items() if key != name})


@settings(max_examples=400, deadline=None)
@given(name=st.sampled_from(_FIELDS), value=_json_values)
def test_no_value_in_any_field_raises_anything_but_an_artifact_error(
    document: dict[str, Any], name: str, value: Any
) -> None:
    with suppress(ArtifactError):
        _read({**document, name: value})


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": {"test": {"int8": {"accuracy": float("nan")}}}},
        {"labels": ["good", "\ud800"]},
        {"created": 20261123},
        {"files": {"card.md": {"sha256": "0", "size": 1, "mode": 7}}},
        {"golden": [{"text": "only"}]},
    ],
    ids=["NaN", "half a surrogate pair", "a time that is a number", "an unknown entry", "half a golden example"],
)
def test_hostile_values_are_refused_in_words(document: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError):
        _read({**document, **change})


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../b", "a//b", ".hidden", "", "a\\b", "a\nb", "a/"])
def test_an_unsafe_file_name_is_refused_even_under_a_fitting_version(document: dict[str, Any], name: str) -> None:
    files = {**document["files"], name: {"sha256": "0" * 64, "size": 1}}
    unsealed = {**document, "files": files, "version": ""}
    with pytest.raises(ArtifactError, match="unsafe file name"):
        _read(unsealed)


@pytest.mark.parametrize(
    "change",
    [{"labels": ["one"]}, {"golden": []}, {"max_tokens": 2}, {"temperature": 0}, {"model": "No Such Name"}],
    ids=str,
)
def test_what_cannot_be_served_is_refused_even_under_a_fitting_version(
    document: dict[str, Any], change: dict[str, Any]
) -> None:
    with pytest.raises(ArtifactError, match="not a manifest that this release can read"):
        _read({**document, **change, "version": ""})


@pytest.mark.parametrize("found", [0, 1, 3, "2", None])
def test_another_schema_version_is_named_with_a_remedy(document: dict[str, Any], found: object) -> None:
    with pytest.raises(ArtifactError, match=f"schema version {found!r}") as caught:
        _read({**document, "schema_version": found})
    assert caught.value.remedy


def test_a_field_of_a_later_release_is_ignored(document: dict[str, Any]) -> None:
    assert _read({**document, "added_later": 1}) == _read(document)


@pytest.mark.parametrize(
    "raw",
    [b"", b"not JSON", b"\xff\xfe", b'{"schema_version": 1', b"[" * 100_000, b"9" * 5_000, b"[]", b"null", b'"text"'],
    ids=lambda raw: repr(raw[:12]),
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"there/manifest\.json"):
        Manifest.from_json(raw, source="there/manifest.json")


def test_nesting_that_the_parser_still_takes_is_refused(document: dict[str, Any]) -> None:
    depth = 700
    raw = json.dumps({**document, "training": "DEEP"}).replace('"DEEP"', '{"a":' * depth + "1" + "}" * depth)
    with pytest.raises(ArtifactError):
        Manifest.from_json(raw.encode(), source="there/manifest.json")


@given(_json_values.filter(lambda value: "NaN" not in json.dumps(value) and "Infinity" not in json.dumps(value)))
def test_canonical_json_forgets_the_order_of_keys_and_nothing_else(value: Any) -> None:
    raw = json.dumps(value).encode("utf-8", "surrogatepass")
    if b"\\ud" in raw:
        return
    assert json.loads(canonical_json(value)) == json.loads(raw)
    assert canonical_json({"b": value, "a": 1}) == canonical_json({"a": 1, "b": value})


@given(content=st.binary(max_size=2_000))
def test_the_size_and_checksum_are_those_of_the_bytes(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "described"
    path.write_bytes(content)
    entry = describe_file(path)
    assert (entry.size, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("name", ["a", "demo", "tickets-2", "0", "a" * 63])
def test_a_plain_word_is_a_model_name(name: str) -> None:
    assert MODEL_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a/b", "ä", "a\n", "a" * 64])
def test_what_would_hurt_in_a_path_or_a_url_is_no_model_name(name: str) -> None:
    assert not MODEL_NAME.fullmatch(name)


def test_a_resealed_copy_is_another_version(artifact: Path, reseal: Callable[..., Path]) -> None:
    before = read_manifest(artifact).version
    (artifact / "card.md").write_text("another card")
    assert read_manifest(reseal(artifact)).version != before
