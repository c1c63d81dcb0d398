"""What the stages of a build hand to each other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from model_build.config import BuildConfig
from model_build.data.clean import Dataset
from model_build.data.suspects import Suspect
from model_build.sections import Precision

if TYPE_CHECKING:
    from model_build.compression.frontier import Point
    from model_build.compression.students import Trained, Workshop
    from model_build.data.corpora import Corpora


@dataclass(frozen=True, kw_only=True)
class Build:
    """One run: what is asked for, where it happens, and who is told.

    ``directory`` holds the finished versions; ``overrides`` are the ``--set`` arguments, for the card.
    """

    config: BuildConfig
    config_path: str
    overrides: Sequence[str]
    directory: Path
    console: Console

    def say(self, stage: str, outcome: str) -> None:
        """One line a stage, once it is done."""
        self.console.print(f"  [bold]{stage:<9}[/] {outcome}", highlight=False, soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """The network that ships, in which precision, and the grid it was chosen from (empty without ``[compress]``)."""

    trained: "Trained"
    recipe: str
    precision: Precision
    points: Sequence["Point"] = field(default=())


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What every later stage needs of the earlier ones."""

    dataset: Dataset
    suspects: Sequence[Suspect]
    corpora: "Corpora"
    workshop: "Workshop"
    fingerprint: str
    work: Path
