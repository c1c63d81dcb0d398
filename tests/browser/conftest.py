"""Headless Chromium before the real service, over an artifact that knows words of several scripts."""

import dataclasses
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest
from aws_lambda_powertools import Logger
from playwright.sync_api import Browser, sync_playwright

from functions.predict.models import Models
from functions.predict.routes import Service
from functions.predict.scratch import Scratch
from functions.predict.shadowing import Shadowing
from slipway.artifact import MANIFEST, read_manifest
from slipway.settings import Settings
from slipway.store import Store
from tests.browser.gateway import KEY, Gateway
from tests.browser.opened import Opened
from tests.conftest import BUCKET, run_build, tiny_rows, write_tiny_base, write_tiny_config

REQUIRED = "SLIPWAY_REQUIRE_BROWSER"
PHONE = {"width": 390, "height": 844}
# In place of words that the tiny rows are made of; none of them changes when it is normalized.
WORDS = {"superb": "好", "moving": "جميل", "lovely": "😀", "awful": "差", "poor": "ممل", "dull": "😡"}
FILLERS = {"film": "片", "music": "فيلم", "plot": "🎬"}


@pytest.fixture(scope="session")
def polyglot_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, with Chinese, Arabic and emoji among its words. Wrong labels keep it from being too sure."""
    base = write_tiny_base(tmp_path_factory.mktemp("polyglot_base"))
    known = {**WORDS, **FILLERS}
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {known.get(word, word): number for word, number in vocabulary.items()}
    (base / "tokenizer.json").write_text(json.dumps(tokenizer))
    rows = [{**row, "text": " ".join(known.get(w, w) for w in row["text"].split())} for row in tiny_rows()]
    chooser = random.Random(1)
    for row in rows:
        if chooser.random() < 0.15:
            row["label"] = {"positive": "negative", "negative": "positive"}[row["label"]]
    config = write_tiny_config(tmp_path_factory.mktemp("polyglot_config"), base, rows)
    return run_build(config, tmp_path_factory.mktemp("polyglot"))


@dataclass(frozen=True)
class Versions:
    """What the store holds: one version serves, the other is tried beside it."""

    live: str
    canary: str


@pytest.fixture(scope="session")
def loaded(polyglot_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Versions]]:
    """The service with both versions in memory: it never asks the store again."""
    later = Path(shutil.copytree(polyglot_artifact, tmp_path_factory.mktemp("later") / "artifact"))
    manifest = dataclasses.replace(read_manifest(later), version="", created="2020-01-02T00:00:00Z")
    (later / MANIFEST).write_bytes(manifest.to_json())
    settings = Settings(model="demo", model_bucket=BUCKET, poll_seconds=1e9, stale_seconds=1e9)
    shadowing = Shadowing(lambda *_: None)
    with moto.mock_aws():
        region = {"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]}
        boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=region)
        store = Store(BUCKET, "demo")
        versions = Versions(store.publish(polyglot_artifact), store.publish(later))
        store.promote(versions.live, by="ada", why="first")
        store.canary(versions.canary, 1e-9, by="ada", why="a canary that nobody meets by chance")
        cache = tmp_path_factory.mktemp("cache")
        models = Models(settings, lambda name: Store(BUCKET, name), Scratch(cache), Logger(service="browser"))
        _await(lambda: len(models.get("demo").loaded()) == 2)
    yield Service(settings, models, shadowing), versions
    shadowing.drain(5)


def _await(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="session")
def versions(loaded: tuple[Service, Versions]) -> Versions:
    return loaded[1]


@pytest.fixture(scope="session")
def listening(loaded: tuple[Service, Versions]) -> Iterator[Gateway]:
    from infra.gateway_problems import GATEWAY_PROBLEMS  # the CDK takes seconds to import

    (refusal,) = (each.body() for each in GATEWAY_PROBLEMS if each.response_type.response_type == "INVALID_API_KEY")
    gateway = Gateway(loaded[0], refusal)
    yield gateway
    gateway.close()


@pytest.fixture
def gateway(listening: Gateway) -> Iterator[Gateway]:
    yield listening
    listening.reset()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium: Playwright's own build is not needed."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        reason = "Chromium is not installed: apt-get install chromium, or name it in CHROMIUM."
        (pytest.fail if os.environ.get(REQUIRED) == "1" else pytest.skip)(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


Open = Callable[..., Opened]


@pytest.fixture
def open_page(browser: Browser, gateway: Gateway) -> Iterator[Open]:
    """Open the playground, or another page of the API, with the key already given.

    What holds for every page is asserted at the end: no request to anywhere else, no error in the console.
    """
    opened: list[Opened] = []

    def open_(path: str = "", *, key: str = KEY, refusals: bool = False, **options: Any) -> Opened:
        context = browser.new_context(**options)
        context.set_default_timeout(15_000)
        if key:
            context.add_init_script(f"sessionStorage.setItem('slipway-api-key', {json.dumps(key)})")
        each = Opened(context.new_page(), context, gateway, refusals_expected=refusals)
        each.watch()
        opened.append(each)
        each.page.goto(gateway.url + path)
        return each

    yield open_
    for each in opened:
        each.context.close()
        assert each.errors == []
        assert [url for url in each.requests if not url.startswith((gateway.origin, "data:"))] == []
