"""What a run is told: which artifacts, how often, where its files go."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build/benchmarks"


def _silent(_: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """``artifact`` is measured; ``small`` is the distilled one beside it, or None.

    ``base`` is the encoder that peers on torch load, ``config`` the data of the topic ``int8``. ``venvs`` holds the
    virtual environments of the peers that need their own.
    """

    artifact: Path
    base: Path
    small: Path | None = None
    config: Path = ROOT / "configs/demo.toml"
    work: Path = WORK
    venvs: Path = ROOT / ".bench-venv"
    quick: bool = False
    progress: Callable[[str], None] = _silent

    def count(self, full: int, quick: int) -> int:
        """How often: enough to quote, or enough to see that it works."""
        return quick if self.quick else full

    @property
    def rounds(self) -> int:
        """Rounds that count."""
        return self.count(5, 2)

    def folder(self, name: str) -> Path:
        """A directory for a topic's own files, made if need be."""
        path = self.work / name
        path.mkdir(parents=True, exist_ok=True)
        return path
