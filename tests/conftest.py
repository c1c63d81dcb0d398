"""A real artifact, small: a random BERT of two layers, trained in seconds by the real command line."""

import fcntl
import io
import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import hypothesis
import moto
import pytest
from botocore.loaders import JSONFileLoader
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from model_build import cli
from slipway.store import Store
from tests.spread import pytest_xdist_make_scheduler  # noqa: F401  a hook of xdist, which looks for it here

# Threads of OpenMP that spin while they wait for each other made this 35 s instead of 2 on a busy machine.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
if "PYTEST_XDIST_WORKER" in os.environ:  # a process a core: each has one
    os.environ["OMP_NUM_THREADS"] = "1"

# A machine that is busy for a moment is no failure; what an example costs is not what these tests are about.
hypothesis.settings.register_profile("slipway", deadline=None)
hypothesis.settings.load_profile("slipway")

BUCKET = "models-bucket"
_WORDS = {
    "positive": ["good", "great", "lovely", "superb", "moving"],
    "negative": ["bad", "awful", "dull", "boring", "poor"],
}
_FILLERS = ["film", "plot", "acting", "music", "the", "a", "was", "with", "very", "quite"]
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def tiny_rows(seed: int = 0, count: int = 600) -> list[dict[str, str]]:
    """Distinct sentences whose label any reader can tell."""
    chooser = random.Random(seed)
    rows: dict[str, str] = {}
    while len(rows) < count:
        label = chooser.choice(sorted(_WORDS))
        words = [*chooser.choices(_FILLERS, k=chooser.randint(2, 12)), *chooser.choices(_WORDS[label], k=3)]
        rows["-".join(chooser.sample(words, len(words)))] = label
    return [{"text": text.replace("-", " "), "label": label} for text, label in rows.items()]


def write_tiny_base(directory: Path, *, model_type: str = "bert") -> Path:
    """A base model as a user would have it on disk: config.json, weights, tokenizer.json."""
    import torch
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    vocabulary = [*_SPECIAL, *_FILLERS, *_WORDS["positive"], *_WORDS["negative"]]
    vocabulary += [f"filler{i}" for i in range(1_100)]  # large enough for the embedding table to be quantized
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    fast.save_pretrained(directory)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    if model_type == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    config = AutoConfig.for_model(model_type, vocab_size=len(vocabulary), max_position_embeddings=64, **sizes)
    AutoModel.from_config(config).save_pretrained(directory)
    return directory


def write_tiny_config(directory: Path, base: Path, rows: list[dict[str, str]]) -> Path:
    """A configuration with its data beside it."""
    data = directory / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = directory / "tiny.toml"
    config.write_text(
        f"""model = "demo"
[data]
path = "{data}"
suspects = 5
[network]
base = "{base}"
max_tokens = 32
[train]
epochs = 4
learning_rate = 3e-3
[gates]
cpu_classes = ["native"]
speed = 0.01
"""
    )
    return config


@pytest.fixture
def frozen_time(monkeypatch: pytest.MonkeyPatch) -> float:
    """``time.time`` says this from now on: no minute and no hour ends between what is put and what is asked."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    return now


@pytest.fixture(scope="session")
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny base, its configuration and both versions lie: for all processes, and for the next run as well.

    For those of as many threads: how many add up a training's sums shows in its last digits.
    """
    cache: pytest.Cache | None = getattr(request.config, "cache", None)
    mine = sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    directory = cache.mkdir(f"tiny-{mine}-{threads}") if cache else tmp_path_factory.mktemp("tiny")
    with _alone(directory):
        if not (directory / "tiny.toml").exists():
            write_tiny_config(directory, write_tiny_base(directory / "base"), tiny_rows())
    return directory


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """No other process is in such a block meanwhile."""
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def tiny_base(kept: Path) -> Path:
    return kept / "base"


@pytest.fixture(scope="session")
def tiny_config(kept: Path) -> Path:
    return kept / "tiny.toml"


def run_build(config: Path, out: Path, *overrides: str, rebuild: bool = True) -> Path:
    """``slipway build`` in this process; the directory of the artifact."""
    arguments = ["build", "--config", str(config), "--out", str(out), "--json", *(["--rebuild"] if rebuild else [])]
    for override in overrides:
        arguments += ["--set", override]
    told = io.StringIO()
    with pytest.raises(SystemExit) as exit_info, redirect_stdout(told):
        cli.main(arguments)
    assert exit_info.value.code == 0
    return Path(json.loads(told.getvalue())["artifact"])


@pytest.fixture(scope="session")
def tiny_artifact(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first of two versions."""
    return built_once(kept, tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="session")
def second_artifact(kept: Path, tmp_path_factory: pytest.TempPathFactory, tiny_artifact: Path) -> Path:
    """Another version of the same model, a later one."""
    return built_once(kept, tmp_path_factory.mktemp("second"), "train.seed=14")


def built_once(kept: Path, own: Path, *overrides: str) -> Path:
    """A copy in ``own`` of the artifact, which is built anew whenever code, data or configuration changed since."""
    with _alone(kept):
        artifact = run_build(kept / "tiny.toml", kept / "out", *overrides, rebuild=False)
        return Path(shutil.copytree(artifact, own / "demo" / artifact.name))


@pytest.fixture(scope="session", autouse=True)
def aws_dummies() -> Iterator[None]:
    """No test can reach a real account."""
    dummies = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-central-1"}
    dropped = ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"]
    dropped += ["SLIPWAY_MODEL", "SLIPWAY_MODEL_BUCKET", "SLIPWAY_DATA_BUCKET"]
    patch = pytest.MonkeyPatch()
    for name in dropped:
        patch.delenv(name, raising=False)
    for name, value in dummies.items():
        patch.setenv(name, value)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def described_once() -> Iterator[None]:
    """Botocore reads its descriptions of services anew for each of moto's sessions: a fifth of their time."""
    known: dict[str, Any] = {}
    load = JSONFileLoader.load_file

    def load_once(self: JSONFileLoader, path: str) -> Any:
        if path not in known:
            known[path] = load(self, path)
        return known[path]

    patch = pytest.MonkeyPatch()
    patch.setattr(JSONFileLoader, "load_file", load_once)
    yield
    patch.undo()


@pytest.fixture
def bucket() -> Iterator[str]:
    """An empty model bucket in moto's in-process S3."""
    with moto.mock_aws():
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]}
        )
        yield BUCKET


@pytest.fixture
def store(bucket: str) -> Store:
    return Store(bucket, "demo")
