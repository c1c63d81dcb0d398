"""Ports of this machine's loopback address: which is free, who holds one, whether one answers."""

import socket
import urllib.error
import urllib.request
from pathlib import Path

from infra.local_cloud.errors import LocalCloudError

HOST = "127.0.0.1"


def answers(url: str) -> bool:
    """Whether a loopback URL answers 200; a proxy in the environment is not asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def check_port(port: int) -> None:
    """Raises LocalCloudError, naming who listens, unless ``port`` is free on the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LocalCloudError(f"Port {port} is taken by {port_owner(port)}: stop it, or use --port.") from error


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def port_owner(port: int) -> str:
    """Who listens on ``port``, such as "python (pid 12)", as far as the system tells."""
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) in wanted:
                process = link.parent.parent
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:  # not ours to see, or gone
            continue
    return "another process"


def _listening_inodes(port: int) -> set[str]:
    tables = [table for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if table.exists()]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}  # 0A: listening
