"""Which tests share a process where several run: those of a file, and all that need the local cloud.

A cloud takes half a minute to deploy: two processes that have one each spend a minute.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

_CLOUD = "tests/local_cloud"


class Spread(LoadFileScheduling):
    """``--dist loadfile``, with the local cloud's files as one."""

    def _split_scope(self, nodeid: str) -> str:
        return _CLOUD if nodeid.startswith(f"{_CLOUD}/") else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Spread | None:
    """What xdist asks for; a ``--dist`` that was chosen by hand is left alone."""
    return Spread(config, log) if config.getoption("dist") == "loadfile" else None
