"""Which tests share a process where several run: those of a file, and of a folder that shares what is slow to make.

A local cloud takes half a minute to deploy. Images are built by one process at a time: another one would wait for it
until its last test of whatever file is over.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

_WHOLE = ("tests/image/", "tests/local_cloud/")


class Spread(LoadFileScheduling):
    """``--dist loadfile``, with all files of some folders as one."""

    def _split_scope(self, nodeid: str) -> str:
        whole = next((folder for folder in _WHOLE if nodeid.startswith(folder)), None)
        return whole or str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)  # where xdist is switched off
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Spread | None:
    """What xdist asks for; a ``--dist`` that was chosen by hand is left alone."""
    return Spread(config, log) if config.getoption("dist") == "loadfile" else None
