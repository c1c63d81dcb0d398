"""``make demo``: what a user does, in that order, with the commands a user types. Nothing here is only for the demo.

Build the model, deploy, publish, promote, ask, upload a file. Each command is printed before it runs, and any of them
can be run again by hand.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from infra.local_cloud import LocalCloud, LocalCloudError, Outputs
from infra.local_cloud.tools import ROOT

CONFIG = "configs/demo.toml"
MODEL = "demo"
TEXT = "A tender, beautifully acted film, full of warmth and quiet wit."
EXPECTED = "positive"
FILE = "reviews.csv"
TEXTS = (TEXT, "Two hours that feel like four.", "The jokes land, the heart is real.", "A lifeless, clumsy remake.")
_PATIENCE = 60  # seconds for a file of four rows
_EMULATOR = "qemu-x86_64"


def main() -> int:
    """Run the demo; exit code 0 if the deployed API gave the right label."""
    started = time.monotonic()
    try:
        return _demo(started)
    except (LocalCloudError, CommandFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _demo(started: float) -> int:
    heading("1. Build the model: labelled text in, a checked int8 classifier out")
    artifact = build()
    heading("2. Deploy: the same CDK app that goes to AWS, into a cloud on this machine")
    say("python -m infra.local_cloud deploy -c model=demo   # starts the local cloud, runs cdk deploy --all in it")
    cloud = LocalCloud()
    outputs = cloud.deploy({"model": MODEL})
    heading("3. Publish the model, then promote it: from now on it answers")
    publish(cloud, outputs, artifact, why="make demo")
    heading("4. Ask the deployed API for a sentence that it has never seen")
    answer = _ask(outputs)
    heading("5. Upload a file to the inbox: every row comes back scored")
    manifest = _upload(cloud, outputs)
    heading("6. Look at what it did")
    page = cloud.directory / "dashboard.html"
    _slipway(["status", "--html", str(page.relative_to(ROOT))], _environment(cloud, outputs))
    _summary(outputs, answer, manifest, time.monotonic() - started)
    return 0 if answer["predictions"][0]["label"] == EXPECTED else 1


def build() -> str:
    """The directory of the demo's artifact, which is built unless it is there."""
    command = ["build", "--config", CONFIG]
    if shutil.which(_EMULATOR) is None:
        print(f"  {_EMULATOR} is not installed: the gate for CPUs with AVX2 only is left out, and the card says so.")
        command += ["--set", 'gates.cpu_classes=["native"]']
    return str(_slipway(command, {})["artifact"])


def publish(cloud: LocalCloud, outputs: Outputs, artifact: str, *, why: str) -> None:
    """Publish the artifact and make it live."""
    environment = _environment(cloud, outputs)
    version = _slipway(["publish", artifact], environment)["version"]
    _slipway(["promote", version, "--why", why], environment)


def _environment(cloud: LocalCloud, outputs: Outputs) -> dict[str, str]:
    """What points ``slipway`` at the deployment."""
    buckets = {"SLIPWAY_MODEL_BUCKET": outputs.model_bucket, "SLIPWAY_DATA_BUCKET": outputs.data_bucket}
    return {**cloud.client_env(), "SLIPWAY_STAGE": "local", "SLIPWAY_MODEL": MODEL, **buckets}


def _slipway(arguments: list[str], environment: Mapping[str, str]) -> Any:
    """Run ``slipway`` as a user would, and return its JSON answer; its progress goes straight to the terminal."""
    say(shlex.join(["slipway", *arguments]))
    command = [sys.executable, "-m", "model_build", *arguments, "--json"]
    run = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=False)
    if run.returncode:
        raise CommandFailed(f"slipway {arguments[0]} ended with {run.returncode}")
    return json.loads(run.stdout)


def _ask(outputs: Outputs) -> Any:
    url = f"{outputs.api_url}/v1/models/{outputs.model}:predict"
    body = json.dumps({"instances": [TEXT]})
    headers = {"x-api-key": outputs.api_key, "content-type": "application/json"}
    lines = [f"curl {url}", f"-H 'x-api-key: {outputs.api_key}' -H 'content-type: application/json'", f"-d '{body}'"]
    say(" \\\n      ".join(lines))
    request = urllib.request.Request(url, body.encode(), headers)  # noqa: S310 - the local cloud's own address
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        answer = json.loads(response.read())
    print(json.dumps(answer, indent=2))
    return answer


def _upload(cloud: LocalCloud, outputs: Outputs) -> Any:
    """Put a file into the inbox and wait for the manifest of its results."""
    key, results = f"inbox/{MODEL}/{FILE}", f"outbox/{MODEL}/{FILE}/"
    file = cloud.directory / FILE
    file.write_text("text\n" + "".join(f'"{text}"\n' for text in TEXTS))
    say(f"aws s3 cp {file.relative_to(ROOT)} s3://{outputs.data_bucket}/{key}")
    s3 = cloud.client("s3")
    began = time.time()
    s3.put_object(Bucket=outputs.data_bucket, Key=key, Body=file.read_bytes())
    manifest = _wait_for_manifest(s3, outputs.data_bucket, f"{results}manifest.json", began)
    say(f"aws s3 cp s3://{outputs.data_bucket}/{manifest['results'][0]['key']} -")
    print(s3.get_object(Bucket=outputs.data_bucket, Key=manifest["results"][0]["key"])["Body"].read().decode().rstrip())
    return manifest


def _wait_for_manifest(s3: Any, bucket: str, key: str, began: float) -> Any:
    """The manifest that was written after ``began``: an earlier demo may have left one."""
    while time.time() - began < _PATIENCE:
        with suppress(s3.exceptions.NoSuchKey):
            manifest = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            if datetime.fromisoformat(manifest["finished"]).timestamp() >= began and manifest["state"] == "finished":
                return manifest
            if manifest["state"] == "failed":
                raise CommandFailed(f"the file was not scored: {manifest['reason']}")
        time.sleep(0.3)
    raise CommandFailed(f"no results after {_PATIENCE} s; look at .local/ministack.log")


def _summary(outputs: Outputs, answer: Any, manifest: Any, seconds: float) -> None:
    prediction = answer["predictions"][0]
    print(
        f"\n{prediction['label']} ({prediction['score']:.3f}), answered by {answer['model_version']}. "
        f"Done in {seconds:.0f} s.\n\n"
        f"  URL      {outputs.api_url}\n"
        f"  page     {outputs.api_url}/   (asks for the key)\n"
        f"  API key  {outputs.api_key}\n"
        f"  models   s3://{outputs.model_bucket}\n"
        f"  files    s3://{outputs.data_bucket}/inbox/{MODEL}/   (upload here)\n"
        f"  results  s3://{outputs.data_bucket}/{manifest['results'][0]['key']}\n"
        "  outputs  .local/outputs.json\n"
        "  figures  .local/dashboard.html   (open it in a browser; slipway tail follows the log)\n\n"
        'The local cloud goes on running. `eval "$(.venv/bin/python -m infra.local_cloud env)"` points slipway, the\n'
        "AWS command line and boto3 at it, for instance for `slipway history`; `make down` stops it."
    )


def heading(text: str) -> None:
    """What comes next."""
    print(f"\n{text}", flush=True)


def say(command: str) -> None:
    """A command as a user types it."""
    print(f"  $ {command}", flush=True)


class CommandFailed(Exception):
    """A step of the demo did not do what it is to show."""


if __name__ == "__main__":
    raise SystemExit(main())
