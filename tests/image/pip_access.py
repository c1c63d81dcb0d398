"""Lend this machine's way to PyPI (index, certificates, local wheels) to a build, by mounts alone.

The Dockerfile stays what AWS users build: no index, proxy or certificate is written into it or into the image.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def pip_volumes(directory: Path) -> list[str]:
    """The ``--volume`` arguments that make pip in a build behave like pip here.

    Writes a pip.conf into ``directory``. (``--env`` would do without, but it stays in the image.)
    """
    settings = _pip_settings()
    config = directory / "pip.conf"
    config.write_text("[global]\n" + "".join(f"{key} = {_indented(value)}\n" for key, value in settings.items()))
    paths = {_local_path(word) for value in settings.values() for word in value.split()}
    paths.add(os.environ.get("SSL_CERT_FILE", CERTIFICATES))
    mounts = [f"{config}:/etc/pip.conf:ro"] + [f"{path}:{path}:ro" for path in sorted(paths) if _exists(path)]
    return [argument for mount in mounts for argument in ("--volume", mount)]


def _pip_settings() -> dict[str, str]:
    """What ``pip config list`` says, e.g. ``global.cert='/x.crt'`` as ``{"cert": "/x.crt"}``; the environment wins."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    pairs = (line.split("=", 1) for line in listing.splitlines() if line.startswith(("global.", ":env:.")))
    named = {name: ast.literal_eval(value) for name, value in pairs}
    by_environment_last = sorted(named.items(), key=lambda item: item[0].startswith(":env:."))
    return {name.rpartition(".")[2]: str(value) for name, value in by_environment_last}


def _indented(value: str) -> str:
    """A value of several lines as an ini file takes it."""
    return "\n    ".join(value.splitlines())


def _local_path(word: str) -> str:
    """The path to mount for one word of a setting: of a local index its parent, which has the files it links to."""
    return str(Path(word.removeprefix("file://")).parent) if word.startswith("file://") else word


def _exists(path: str) -> bool:
    return path.startswith("/") and Path(path).exists()
