"""One local cloud and what is deployed into it."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from infra.local_cloud.errors import LocalCloudError
from infra.local_cloud.ports import HOST
from infra.local_cloud.server import Server
from infra.local_cloud.tools import ROOT, cdk_command, first_complaint, ministack_python

DEFAULT_DIRECTORY = ROOT / ".local"
DEFAULT_PORT = 4566
REGION = "us-east-1"
_ACCOUNT = "000000000000"
_KEY = "test"
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a caller of the deployed API, and of the cloud it is in, needs to know."""

    api_url: str
    api_key: str
    model: str
    model_bucket: str
    data_bucket: str
    workflow: str
    aws_endpoint_url: str
    region: str


class LocalCloud:
    """A local cloud that keeps its files in ``directory``. Several run side by side, each with its directory and port.

    Its state is in memory: what was deployed and stored is gone when it stops. Without a ``port`` it takes the one on
    which it already runs, else 4566. ``tools`` holds the installed ministack, which all share.
    """

    def __init__(
        self, directory: Path = DEFAULT_DIRECTORY, port: int | None = None, *, tools: Path = DEFAULT_DIRECTORY
    ) -> None:
        self.directory = directory.resolve()
        self.server = Server(self.directory, name="ministack", health_path="/_ministack/health")
        self._port = port
        self._tools = tools.resolve()
        self._outputs_file = self.directory / "outputs.json"

    @property
    def port(self) -> int:
        """The port that it listens on, or would."""
        running = self.server.running()
        return self._port or (running.port if running else DEFAULT_PORT)

    @property
    def endpoint_url(self) -> str:
        """What AWS_ENDPOINT_URL must be for a client of this cloud."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start it unless it runs. Raises LocalCloudError."""
        temporary = self.directory / "tmp"
        if not self.server.running():
            shutil.rmtree(temporary, ignore_errors=True)  # models that functions of a cloud that is gone had loaded
            self._outputs_file.unlink(missing_ok=True)  # of a cloud that is gone
        temporary.mkdir(parents=True, exist_ok=True)
        command = [str(ministack_python(self._tools)), "-m", "ministack"]
        self.server.start(command, port=self.port, env=self._server_env(temporary))

    def deploy(self, context: Mapping[str, str] | None = None) -> Outputs:
        """Run ``cdk deploy`` with the local stage's arguments, overridden by ``context``; start the cloud if need be.

        Raises LocalCloudError with the first complaint of the CDK.
        """
        cdk = cdk_command()
        self.start()
        if not self._bootstrapped():
            self._run([cdk, "bootstrap", f"aws://{_ACCOUNT}/{REGION}"], what="cdk bootstrap", cwd=self.directory)
        stacks_file = self.directory / "stacks.json"
        arguments = {"stage": "local", **(context or {})}
        self._run(
            [
                *(cdk, "deploy", "--all", "--require-approval=never", "--progress=events", "--no-notices"),
                # A change set shows a person what will happen; nobody looks here, and it costs seconds.
                "--method=direct",
                f"--app={shlex.quote(sys.executable)} -m infra.app",
                f"--output={self.directory / 'cdk.out'}",
                f"--outputs-file={stacks_file}",
                *(f"--context={name}={value}" for name, value in arguments.items()),
            ],
            what="cdk deploy",
            cwd=ROOT,
        )
        return self._write_outputs(json.loads(stacks_file.read_text()))

    def outputs(self) -> Outputs:
        """What the last deployment gave. Raises LocalCloudError if nothing is deployed."""
        if not self.server.running():
            raise LocalCloudError("The local cloud does not run: start it with python -m infra.local_cloud up.")
        if not self._outputs_file.exists():
            raise LocalCloudError("Nothing is deployed: run python -m infra.local_cloud deploy.")
        return Outputs(**json.loads(self._outputs_file.read_text()))

    def stop(self) -> bool:
        """Stop it, with every function process; whether it ran."""
        ran = self.server.stop()
        self._outputs_file.unlink(missing_ok=True)
        return ran

    def client_env(self) -> dict[str, str]:
        """The variables that point any AWS client, the CDK included, at this cloud."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str) -> Any:
        """A boto3 client of this cloud, whatever the environment says."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=_KEY,
            aws_secret_access_key=_KEY,
        )

    def _server_env(self, temporary: Path) -> dict[str, str]:
        """Little on purpose: ministack hands its whole environment, AWS_ENDPOINT_URL included, on to the functions."""
        return {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **self.client_env(),
            "TMPDIR": str(temporary),
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": HOST,
            "MINISTACK_REGION": REGION,
            "IOT_MTLS_ENABLED": "0",  # listeners on fixed ports, which a second cloud would find taken
            "SFTP_ENABLED": "0",
        }

    def _cdk_env(self) -> dict[str, str]:
        """The environment without any trace of a real AWS account."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        quiet = {"AWS_EC2_METADATA_DISABLED": "true", "CDK_DISABLE_CLI_TELEMETRY": "true", "NO_COLOR": "1", "CI": "1"}
        return {**kept, **self.client_env(), **nowhere, **quiet, "NO_PROXY": HOST, "no_proxy": HOST}

    def _run(self, command: list[str], *, what: str, cwd: Path) -> None:
        log = self.directory / f"{what.replace(' ', '-')}.log"
        with log.open("w") as file:
            done = subprocess.run(command, cwd=cwd, env=self._cdk_env(), stdout=file, stderr=file, check=False)
        if done.returncode:
            raise LocalCloudError(f"{what} failed: {first_complaint(log.read_text())} (log: {log})")

    def _bootstrapped(self) -> bool:
        try:
            self.client("cloudformation").describe_stacks(StackName="CDKToolkit")
        except ClientError:
            return False
        return True

    def _write_outputs(self, stacks: Mapping[str, Mapping[str, str]]) -> Outputs:
        values = {name: value for stack in stacks.values() for name, value in stack.items()}
        outputs = Outputs(
            api_url=self._local_url(values["ApiUrl"]),
            api_key=self._api_key(values.get("ApiKeyId", "")),
            model=values["Model"],
            model_bucket=values["ModelBucket"],
            data_bucket=values["DataBucket"],
            workflow=values["Workflow"],
            aws_endpoint_url=self.endpoint_url,
            region=REGION,
        )
        written = self._outputs_file.with_suffix(".new")
        written.write_text(json.dumps(asdict(outputs), indent=2) + "\n")
        written.replace(self._outputs_file)
        return outputs

    def _api_key(self, key_id: str) -> str:
        """Its value; empty for an API that asks for no key."""
        return self.client("apigateway").get_api_key(apiKey=key_id, includeValue=True)["value"] if key_id else ""

    def _local_url(self, api_url: str) -> str:
        """https://<id>.execute-api.<region>.amazonaws.com/<stage>, as this cloud answers it without a DNS."""
        parts = urllib.parse.urlsplit(api_url)
        api_id = parts.netloc.split(".")[0]
        return f"{self.endpoint_url}/_aws/execute-api/{api_id}{parts.path}"
