"""The build's configuration: one TOML file, checked whole before anything is read or trained."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from slipway.artifact import MODEL_NAME
from slipway.errors import BuildError

CpuClass = Literal["native", "avx2"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(gt=0, lt=0.5)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(_Section):
    """Where the labelled text is.

    ``path`` is a local file, ``s3://bucket/key`` or ``package:module/path`` (a file that an installed package ships);
    its ending says CSV, TSV, JSON Lines or Parquet. ``where`` keeps rows whose columns have these values.
    """

    path: str
    text: str = "text"
    label: str = "label"
    where: dict[str, str] = {}
    label_names: dict[str, str] = {}
    max_chars: int = Field(20_000, gt=0)
    dev: Share = 0.1
    test: Share = 0.1
    seed: Seed = 13

    @field_validator("label_names")
    @classmethod
    def _tells_labels_apart(cls, names: dict[str, str]) -> dict[str, str]:
        if len(set(names.values())) < len(names):
            raise ValueError("two labels have the same name")
        return names


class NetworkConfig(_Section):
    """``base`` is a Hugging Face name, a local directory or ``package:module/path``."""

    base: str
    max_tokens: int = Field(128, ge=8, le=8192)
    dropout: float = Field(0.1, ge=0, lt=1)


class TrainConfig(_Section):
    """``checks`` is how often an epoch the dev split is scored and a checkpoint written."""

    epochs: float = Field(3, gt=0)
    batch_size: int = Field(32, gt=0)
    learning_rate: float = Field(1e-4, gt=0)
    warmup: float = Field(0.1, ge=0, lt=1)
    weight_decay: float = Field(0.01, ge=0)
    checks: int = Field(2, gt=0)
    seed: Seed = 13


class GateConfig(_Section):
    """Bounds that refuse a model. Accuracy is in points (hundredths), agreement a share of texts.

    ``emulated_texts`` of the test split run on each emulated CPU class, those nearest to tipping first; 0 means all.
    """

    parity: float = Field(1e-3, gt=0)
    accuracy_drop: float = Field(0.5, ge=0)
    agreement: float = Field(0.99, gt=0, le=1)
    batch_tolerance: float = Field(1e-5, gt=0)
    cpu_tolerance: float = Field(0.05, gt=0)
    emulated_texts: int = Field(24, ge=0)
    cpu_classes: tuple[CpuClass, ...] = ("native", "avx2")


class BuildConfig(_Section):
    """All of it; ``model`` names what is built, in lower-case letters, digits and hyphens."""

    model: Annotated[str, StringConstraints(pattern=f"^{MODEL_NAME.pattern}$")]
    data: DataConfig
    network: NetworkConfig
    train: TrainConfig = TrainConfig()
    gates: GateConfig = GateConfig()

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> "BuildConfig":
        if self.data.dev + self.data.test > 0.6:
            raise ValueError("data.dev and data.test together take more than 0.6 of the rows")
        return self


def read_config(path: Path, overrides: Sequence[str] = ()) -> BuildConfig:
    """Read a TOML file and apply ``section.key=value`` overrides.

    Raises BuildError in one line that names the key, its value and the remedy.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise BuildError(
            f"There is no configuration {path}.", remedy="configs/demo.toml is one to start from."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BuildError(f"{path} is not TOML: {error}.") from error
    for override in overrides:
        _override(content, override)
    try:
        return BuildConfig.model_validate(content)
    except ValidationError as error:
        raise BuildError(f"{path}: {_first_problem(error)}") from error


def _override(content: dict[str, Any], override: str) -> None:
    dotted, separator, raw = override.partition("=")
    if not separator:
        raise BuildError(f"--set {override!r} has no '='.", remedy="Write it as section.key=value.")
    *sections, key = dotted.strip().split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise BuildError(f"--set {override!r}: {section} is a value, not a section.")
    try:
        content[key] = tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        content[key] = raw


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(map(str, problem["loc"])) or "the configuration"
    if problem["type"] == "missing":
        return f"{where} is missing."
    if problem["type"] != "extra_forbidden":
        return f"{where} = {problem['input']!r}: {problem['msg']}."
    near = difflib.get_close_matches(str(problem["loc"][-1]), _known_keys(problem["loc"][:-1]), 1)
    return f"{where} is not a known key." + (f" Did you mean {near[0]!r}?" if near else "")


def _known_keys(section: tuple[int | str, ...]) -> list[str]:
    model: Any = BuildConfig
    for part in section:
        model = model.model_fields[part].annotation
    return list(model.model_fields)
