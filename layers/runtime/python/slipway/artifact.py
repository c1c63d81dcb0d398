"""The contract between build and serving: the files of one immutable version of one model, and what its manifest says.

    manifest.json        written last; a directory or S3 prefix without it is no artifact
    tokenizer.json       with vocab.txt, the words once more, where that is read quicker (see encoding.py)
    model.<variant>.onnx with its weights in model.<variant>.onnx.data
    card.md, report/*    what a person reads

A version is ``<UTC time>-<first 12 hex digits of the manifest's digest>``; the digest covers every field but
``version`` itself, and so, through ``files``, every byte of the artifact.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field, fields
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from slipway.errors import ArtifactError, DamagedArtifact

SCHEMA_VERSION = 2
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
VOCABULARY = "vocab.txt"
CARD = "card.md"
REPORT = "report/"
_NOT_REPRODUCED = {"version", "created", "code_revision", "speed", "gates"}

Variant = Literal["int8", "fp16", "fp32"]
GPU_GATE = "fp16 label agreement with int8"  # of a manifest's ``gates``: whether a GPU may answer beside CPUs
VARIANTS: tuple[Variant, ...] = get_args(Variant)
Task = Literal["single-label", "multi-label"]

MODEL_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
VERSION = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")


def model_file(variant: Variant) -> str:
    """Name of the ONNX graph of ``variant``."""
    return f"model.{variant}.onnx"


def weights_file(variant: Variant) -> str:
    """Name of the weights of ``variant``, bytes that are mapped into memory and never parsed."""
    return f"{model_file(variant)}.data"


class FileEntry(NamedTuple):
    """Checksum (lower-case hex) and size in bytes of one file."""

    sha256: str
    size: int


class Golden(NamedTuple):
    """A text, its token ids, and the probabilities (in the order of the labels) that each variant must give again."""

    text: str
    token_ids: list[int]
    probabilities: dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What ``manifest.json`` holds.

    ``tolerances`` bounds, by variant, the difference between a golden probability and its replay on another class of
    CPU. ``temperature`` divides the logits before softmax. ``metrics`` is split → variant → name → value; ``speed`` is
    variant → milliseconds and megabytes, on the machine that built it.
    ``serve`` is the variant that functions on CPUs open: int8, or fp32 where int8 was not fast enough to be worth it.
    ``baseline`` holds the statistics that drift is measured against.
    """

    model: str
    task: Task
    labels: list[str]
    max_tokens: int
    pad_id: int
    temperature: float
    created: str
    code_revision: str
    data_fingerprint: str
    build_fingerprint: str
    training: dict[str, Any]
    metrics: dict[str, dict[str, dict[str, float]]]
    gates: list[dict[str, Any]]
    speed: dict[str, dict[str, float]]
    baseline: dict[str, Any]
    files: dict[str, FileEntry]
    golden: list[Golden]
    tolerances: dict[str, float]
    serve: Variant
    schema_version: int = SCHEMA_VERSION
    version: str = field(default="")

    def __post_init__(self) -> None:
        if not self.version:
            object.__setattr__(self, "version", self._expected_version())

    def serving_files(self, variant: Variant | None = None) -> tuple[str, ...]:
        """What a function needs beside the manifest to serve ``variant``, by default ``serve``; weights come last."""
        variant = variant or self.serve
        tokenizer = (TOKENIZER, VOCABULARY) if VOCABULARY in self.files else (TOKENIZER,)
        return *tokenizer, model_file(variant), weights_file(variant)

    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON of every field but ``version``."""
        content = {k: v for k, v in self._content().items() if k != "version"}
        return hashlib.sha256(canonical_json(content)).hexdigest()

    def content_digest(self) -> str:
        """SHA-256 (hex) of what the same configuration, data and machine make again: no date, commit, speed or plot."""
        content = {k: v for k, v in self._content().items() if k not in _NOT_REPRODUCED}
        content["files"] = {k: v for k, v in content["files"].items() if k != CARD and not k.startswith(REPORT)}
        return hashlib.sha256(canonical_json(content)).hexdigest()

    def to_json(self) -> bytes:
        """The bytes of ``manifest.json``: indented, for people, with sorted keys."""
        return (
            json.dumps(self._content(), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        )

    @classmethod
    def from_json(cls, raw: bytes, *, source: str) -> "Manifest":
        """Parse and validate; ``source`` names the file or object in errors.

        Raises ArtifactError if it is not readable, of another schema, or was changed after its version was given.
        """
        content = _parse(raw, source)
        try:
            content["files"] = {name: FileEntry(**entry) for name, entry in content["files"].items()}
            content["golden"] = [Golden(**golden) for golden in content["golden"]]
            manifest = cls(**content)
            manifest._validate()
            expected = manifest._expected_version()
        except (TypeError, KeyError, AttributeError, ValueError, RecursionError) as error:
            raise ArtifactError(f"{source} is not a manifest that this release can read: {error}.") from error
        if manifest.version != expected:
            raise DamagedArtifact(
                f"{source} was changed after the build: its content is not that of {manifest.version!r}."
            )
        return manifest

    def _content(self) -> dict[str, Any]:
        """Every field as JSON has it."""
        content = {f.name: getattr(self, f.name) for f in fields(self)}
        content["files"] = {name: entry._asdict() for name, entry in self.files.items()}
        content["golden"] = [golden._asdict() for golden in self.golden]
        return content

    def _expected_version(self) -> str:
        time = re.sub(r"[-:]|\.\d+", "", self.created)
        return f"{time}-{self.digest()[:12]}"

    def _validate(self) -> None:
        if self.task not in get_args(Task) or self.serve not in VARIANTS:
            raise ValueError(f"task {self.task!r}, served as {self.serve!r}")
        if not MODEL_NAME.fullmatch(self.model):
            raise ValueError(f"model name {self.model!r}")
        if len(self.labels) < 2 or not self.golden or self.max_tokens < 3 or not self.temperature > 0:
            raise ValueError("it needs at least 2 labels, golden examples, 3 tokens and a positive temperature")
        if any(len(row) != len(self.labels) for golden in self.golden for row in golden.probabilities.values()):
            raise ValueError("a golden example has other than one probability a label")
        if unsafe := [name for name in self.files if not _FILE_NAME.fullmatch(name)]:
            raise ValueError(f"unsafe file name {unsafe[0]!r}")


def _parse(raw: bytes, source: str) -> dict[str, Any]:
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DamagedArtifact(
            f"{source} is not JSON: {error}.", remedy="Build or publish the artifact again."
        ) from error
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        found = content.get("schema_version") if isinstance(content, dict) else type(content).__name__
        raise ArtifactError(
            f"{source} has schema version {found!r}; this release reads {SCHEMA_VERSION}.",
            remedy="Build the model again with this release, or deploy the release that built it.",
        )
    return {f.name: content[f.name] for f in fields(Manifest) if f.name in content}


def canonical_json(content: object) -> bytes:
    """One byte string for one value: sorted keys, no spaces, UTF-8."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def describe_file(path: Path) -> FileEntry:
    """Read ``path`` once and return its checksum and size.

    In one go, which lets other threads run meanwhile; in parts, each would wait for a thread that imports something.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        with mmap(file.fileno(), 0, access=ACCESS_READ) if size else nullcontext(b"") as content:
            return FileEntry(sha256=hashlib.sha256(content).hexdigest(), size=size)


def read_manifest(directory: Path) -> Manifest:
    """The manifest of an artifact directory. Raises ArtifactError if there is none."""
    path = directory / MANIFEST
    try:
        return Manifest.from_json(path.read_bytes(), source=str(path))
    except FileNotFoundError as error:
        raise ArtifactError(f"{directory} holds no {MANIFEST}: it is not a finished artifact.") from error
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error}.") from error


def verify_files(directory: Path, manifest: Manifest, names: Iterable[str] | None = None) -> None:
    """Check size and checksum of ``names`` (all files by default). Raises ArtifactError naming the first bad file."""
    for name in names or tuple(manifest.files):
        entry = manifest.files.get(name)
        if entry is None:
            raise ArtifactError(f"{manifest.model} {manifest.version} has no file {name}.")
        try:
            found = describe_file(directory / name)
        except FileNotFoundError as error:
            raise ArtifactError(f"{name} of {manifest.model} {manifest.version} is missing.") from error
        except OSError as error:
            raise ArtifactError(f"{name} of {manifest.model} {manifest.version} cannot be read: {error}.") from error
        if found != entry:
            raise DamagedArtifact(
                f"{name} of {manifest.model} {manifest.version} is damaged: "
                f"{found.size} bytes with SHA-256 {found.sha256[:12]}…, "
                f"the manifest says {entry.size} bytes with {entry.sha256[:12]}….",
                remedy="Publish the version again from its build directory, or build anew.",
            )
