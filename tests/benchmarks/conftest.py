"""Options of a run that is over in seconds: the tiny artifact, the tiny base, a few repetitions."""

from pathlib import Path

import pytest

from benchmarks import servers
from benchmarks.measure import Skipped
from benchmarks.options import Options
from benchmarks.peers import roster


@pytest.fixture
def options(tiny_artifact: Path, second_artifact: Path, tiny_base: Path, tiny_config: Path, tmp_path: Path) -> Options:
    return Options(
        artifact=tiny_artifact,
        small=second_artifact,
        base=tiny_base,
        config=tiny_config,
        work=tmp_path / "work",
        venvs=tmp_path / "venvs",
        quick=True,
    )


@pytest.fixture
def no_other_venvs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is downloaded: what needs an environment of its own cannot be had."""

    def refuse(*_: object, **__: object) -> Path:
        raise Skipped("not in a test")

    monkeypatch.setattr(roster, "own_python", refuse)
    monkeypatch.setattr(servers, "own_python", refuse)
