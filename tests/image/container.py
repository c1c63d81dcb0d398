"""What was built, run: a container of the image, and its function booted as Lambda boots it."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .runtime_api import RuntimeApi
from .stand_in import Buildah

LAMBDA_USER = "993:990"  # Lambda runs functions as an unprivileged user (sbx_user1051), not as the image's root
LAMBDA_ENVIRONMENT = {
    "AWS_LAMBDA_FUNCTION_NAME": "predict",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "HOME": "/tmp",
}


class Container:
    """A working container of an image; close() removes it."""

    def __init__(self, buildah: Buildah, image: str) -> None:
        self._buildah = buildah
        self.name = buildah("from", image)
        self.config: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["config"]

    def close(self) -> None:
        """Remove the container and its files; the image stays."""
        self._buildah("rm", self.name)

    def run(self, *command: str) -> str:
        """What a command in the container prints, run as Lambda's user with the image's environment."""
        return self._buildah("run", "--user", LAMBDA_USER, self.name, "--", *command)

    @contextlib.contextmanager
    def boot(self, log: Path, environment: Mapping[str, str], *, command: Sequence[str] = ()) -> Iterator[RuntimeApi]:
        """Start the image's entry point and serve it the Runtime API until the block ends.

        Without ``command`` it gets the image's declared one, as a function does that the CDK app gives none.
        The function's standard output and error go to the file ``log``.
        """
        with RuntimeApi() as api, log.open("wb") as output:
            variables = {**LAMBDA_ENVIRONMENT, **environment, "AWS_LAMBDA_RUNTIME_API": api.address}
            settings = [argument for pair in variables.items() for argument in ("--env", "=".join(pair))]
            program = [*self.config["Entrypoint"], *(command or self.config["Cmd"])]
            process = subprocess.Popen(
                self._buildah.command("run", "--user", LAMBDA_USER, *settings, self.name, "--", *program),
                env=self._buildah.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            threading.Thread(target=_report_end, args=(process, api), daemon=True).start()
            try:
                yield api
            except Exception:  # raised again, with the log
                print(log.read_text())  # pytest shows it with the failure
                raise
            finally:
                _end(process)


def _report_end(process: subprocess.Popen[bytes], api: RuntimeApi) -> None:
    """Whoever waits for an answer learns at once that the function has ended."""
    api.fail(None, {"errorMessage": f"The function's process ended with status {process.wait()}."})


def _end(process: subprocess.Popen[bytes]) -> None:
    """End buildah and what it started: they share a process group of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        time.sleep(0.2)
    process.wait()
