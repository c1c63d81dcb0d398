"""One batch job: what is asked, and the names that all of its parts share.

inbox/<model>/<path>                            what is uploaded, and beside it perhaps <path>.slipway.json
outbox/<model>/<path>/                          results: <stem>.scored.<ext> or parts/, errors.jsonl, manifest.json
jobs/<job>/job.json  plan.json  shards.jsonl    what was asked; what the file is; a shard a line
jobs/<job>/cut/  pieces/  errors/  done/        shards that were cut anew; what was scored; what marks it as done
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Self

from slipway.batch.formats import Format, stem
from slipway.errors import BatchError, RequestError
from slipway.requests import Parameters, read_parameters

INBOX, OUTBOX, JOBS = "inbox/", "outbox/", "jobs/"
LOCAL_JOBS = ".slipway/"
SIDECAR = ".slipway.json"
MANIFEST, ERRORS = "manifest.json", "errors.jsonl"
PREFIX = "slipway_"  # of our columns where the file has one of their names; twice where it has that one too
_ADDED = ("label", "score", "scores", "model_version")  # what results bring; scores only where ``top_k`` asks for them
OURS = tuple(PREFIX * times + name for times in range(3) for name in _ADDED)  # what is sought in JSON Lines
_KEY_BYTES = 1_024  # of UTF-8: the longest key in S3
_LONGEST_ENDING = ".scored.jsonl.zst"
_LONGEST_PART = f"part-{'0' * 20}-asked-{'0' * 16}.jsonl.zst"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the file's owner wants: which column, and the parameters of a prediction.

    ``refused`` says why what was asked cannot be read; then nothing is scored.
    """

    text_column: str = "text"
    parameters: Parameters = field(default_factory=Parameters)
    refused: str = ""

    @classmethod
    def from_json(cls, raw: bytes, *, source: str) -> Self:
        """Read a sidecar. Raises BatchError naming what is wrong in it."""
        try:
            document = json.loads(raw.decode("utf-8-sig"))
            if not isinstance(document, dict):
                raise BatchError(f"{source} is no JSON object.")
            column = document.pop("text_column", cls.text_column)
            if not isinstance(column, str) or not column:
                raise BatchError(f"text_column in {source} is no name of a column.")
            return cls(text_column=column, parameters=read_parameters(document, source))
        except (ValueError, RecursionError) as error:
            raise BatchError(f"{source} is not JSON: {error}.", remedy="Mend it and upload the file again.") from error
        except RequestError as error:
            raise BatchError(f"{source} cannot be used: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file and one version of a model. ``etag`` and ``version_id`` pin the file's content.

    ``local`` says that results and what leads to them lie in one folder of a machine. ``sequencer`` is what S3 orders
    the uploads of one key by.
    """

    model: str
    model_version: str
    bucket: str
    key: str
    size: int
    etag: str
    version_id: str = ""
    created: str = ""
    request: Request = field(default_factory=Request)
    local: bool = False
    sequencer: str = ""

    @property
    def id(self) -> str:
        """The same for the same content, version and parameters, however often it is asked for.

        It names the execution too, for which 80 characters of ``[A-Za-z0-9_-]`` are allowed.
        """
        asked = [self.bucket, self.key, self.version_id or self.etag, self.model_version, asdict(self.request)]
        return f"{self.model}-{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]}"

    @property
    def path(self) -> str:
        """Of the file below its model's inbox."""
        return self.key.removeprefix(f"{INBOX}{self.model}/")

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.path).name

    @property
    def folder(self) -> str:
        """Of what the job needs while it runs."""
        return f"{LOCAL_JOBS}{self.id}/" if self.local else f"{JOBS}{self.model}/{self.id}/"

    @property
    def pointer(self) -> str:
        """Of what says which job was the last of this path."""
        latest = f"{JOBS}{self.model}/latest/"
        if not _fits(latest + self.path):  # the file's own key does, with fewer bytes before it
            return latest + hashlib.sha256(self.path.encode()).hexdigest()
        return latest + self.path

    @property
    def outbox(self) -> str:
        """Of what it leaves."""
        return "" if self.local else f"{OUTBOX}{self.model}/{self.path}/"

    @property
    def set_aside(self) -> str:
        """Of what it leaves where the outbox has the results of a newer job."""
        return f"{self.folder}superseded/"

    @property
    def has_outbox(self) -> bool:
        """Whether the outbox can have a manifest: S3 takes no name that is so long."""
        return _fits(f"{self.outbox}{MANIFEST}")

    def results(self, found: Format) -> str:
        """The name of the one file that a small job ends in."""
        return f"{stem(self.name)}.scored{found.extension}"

    def is_before(self, other: "Job") -> bool:
        """Whether this file was uploaded before the other one of its key, as far as S3 has told.

        Sequencers are hexadecimal; the shorter one is to be filled up with zeros on its right.
        """
        width = max(len(self.sequencer), len(other.sequencer))
        own, others = (each.sequencer.upper().ljust(width, "0") for each in (self, other))
        return bool(self.sequencer and other.sequencer) and own < others

    def to_json(self) -> bytes:
        """For people too."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """What ``asdict`` gave."""
        asked = document["request"]
        request = Request(**{**asked, "parameters": Parameters(**asked["parameters"])})
        return cls(**{**document, "request": request})


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Consecutive records. ``rows`` are those that count, and ``first_row`` is the number of the first, from 1.

    ``start`` and ``end`` are bytes of the file, or of the object ``cut`` where shards were cut anew; of a Parquet file
    they are rows of the row group ``group``.
    """

    index: int
    start: int
    end: int
    first_row: int
    rows: int
    cut: str = ""
    group: int = -1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the file turned out to be. ``added`` are the names that results bring beside the file's own columns.

    ``joined`` says whether results become one file.
    """

    job: Job
    format: Format
    rows: int
    shards: int
    joined: bool
    added: tuple[str, ...]

    def to_json(self) -> bytes:
        """For ``scoring`` and ``finishing``."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """What ``to_json`` gave."""
        document = json.loads(raw)
        return cls(
            **{
                **document,
                "job": Job.from_dict(document["job"]),
                "format": Format.from_dict(document["format"]),
                "added": tuple(document["added"]),
            }
        )


def model_of(key: str) -> str:
    """The model that a key under ``inbox/`` is for; empty if nobody is to score it.

    >>> model_of("inbox/demo/a/b.csv"), model_of("inbox/demo/"), model_of("inbox/x/y.csv.slipway.json")
    ('demo', '', '')
    """
    inbox, _, rest = key.partition("/")
    model, _, path = rest.partition("/")
    wanted = f"{inbox}/" == INBOX and path and not path.endswith("/") and not path.endswith(SIDECAR)
    return model if wanted else ""


def refused_name(model: str, key: str) -> str:
    """Why results cannot be named after a file, which had better be said before it is scored; empty if they can."""
    job = Job(model=model, model_version="", bucket="", key=key, size=0, etag="")
    names = (f"{job.outbox}{stem(job.name)}{_LONGEST_ENDING}", f"{job.outbox}parts/{job.id}/{_LONGEST_PART}")
    longest = max(len(name.encode()) for name in names)
    if longest <= _KEY_BYTES:
        return ""
    return (
        f"The name is too long: results would have names of {longest:,} bytes, and S3 takes {_KEY_BYTES:,}. Upload the "
        "file under a shorter one; its own name counts twice, its folders once, and a letter beyond ASCII two to four."
    )


def added_columns(request: Request, taken: frozenset[str]) -> tuple[str, ...]:
    """Names of the columns that results bring; with prefixes until the file has none of them itself."""
    names = tuple(name for name in _ADDED if name != "scores" or request.parameters.top_k)
    while taken.intersection(names):
        names = tuple(PREFIX + name for name in names)
    return names


def plain_name(added: str) -> str:
    """What a column that results bring holds, whatever it had to be called.

    >>> plain_name("slipway_slipway_label")
    'label'
    """
    while added.startswith(PREFIX):
        added = added.removeprefix(PREFIX)
    return added


def _fits(name: str) -> bool:
    return len(name.encode()) <= _KEY_BYTES
