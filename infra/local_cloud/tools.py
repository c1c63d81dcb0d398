"""What the local cloud needs installed, installed where it is missing: ministack, and the CDK's command line."""

import fcntl
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.local_cloud.errors import LocalCloudError

ROOT = Path(__file__).resolve().parent.parent.parent
# Not with our own requirements: CDK's handlers inside ministack need an older boto3 than the functions do.
MINISTACK = ("ministack==1.5.33", "boto3<1.44", "botocore==1.43.106")
OLDEST_NODE = 20


def ministack_python(directory: Path) -> Path:
    """The interpreter of ministack's virtual environment in ``directory``, made on first use."""
    venv = directory / "ministack-venv"
    finished = venv / "finished"  # written last: an environment whose making was interrupted lacks it
    wanted = "\n".join((sys.base_prefix, sys.version, *MINISTACK))
    with locked(directory / "ministack-venv.lock"):
        if not finished.exists() or finished.read_text() != wanted:
            shutil.rmtree(venv, ignore_errors=True)
            install([sys.executable, "-m", "venv", str(venv)], what="The virtual environment of ministack")
            install([str(venv / "bin/python"), "-m", "pip", "install", "--quiet", *MINISTACK], what="ministack")
            finished.write_text(wanted)
    return venv / "bin/python"


def cdk_command(root: Path = ROOT) -> str:
    """The CDK's command line, at the version that package.json pins, installed on first use."""
    check_node()
    wanted = json.loads((root / "package.json").read_text())["devDependencies"]["aws-cdk"]
    with locked(root / ".local/cdk.lock"):
        if _installed_version(root / "node_modules/aws-cdk/package.json") != wanted:
            npm = shutil.which("npm")
            if not npm:
                raise LocalCloudError("npm is missing: install it beside Node, the CDK's command line comes from it.")
            install([npm, "ci", "--no-audit", "--no-fund"], what="The CDK's command line", cwd=root)
    return str(root / "node_modules/.bin/cdk")


def check_node() -> None:
    """Raises LocalCloudError unless a Node that the CDK runs on is on the PATH."""
    node = shutil.which("node")
    if not node:
        raise LocalCloudError(f"Node is missing: install Node {OLDEST_NODE} or newer, the CDK runs on it.")
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = said.removeprefix("v").split(".")[0]
    if not major.isdigit() or int(major) < OLDEST_NODE:
        raise LocalCloudError(f"Node {said or '?'} at {node} is too old: install Node {OLDEST_NODE} or newer.")


def install(command: Sequence[str], *, what: str, cwd: Path | None = None) -> None:
    """Run an installer; its last words become the error if it fails."""
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise LocalCloudError(
            f"{what} could not be installed ({' '.join(command[:4])} …): {first_complaint(done.stdout)}"
        )


def first_complaint(output: str) -> str:
    """The line of a tool's output that says what went wrong: the first that names an error, else the last of all.

    Of CloudFormation's events the first that failed: names of ours have "Failed" in them, too.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    events = [line for line in lines if "_FAILED " in line]
    complaints = [line for line in lines if "error" in line.lower() or "failed" in line.lower()]
    return (events or complaints or lines[-1:] or ["it said nothing"])[0]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file: of several processes that want the same thing installed, one installs it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _installed_version(package: Path) -> str:
    return str(json.loads(package.read_text())["version"]) if package.exists() else ""
