"""The build's configuration: one TOML file, checked whole before anything is read or trained."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import StringConstraints, ValidationError, model_validator

from model_build.recipe import parse_recipe
from model_build.sections import (
    AugmentConfig,
    CompressConfig,
    DataConfig,
    DistilConfig,
    GateConfig,
    NetworkConfig,
    Section,
    TrainConfig,
    TuneConfig,
)
from slipway.artifact import MODEL_NAME
from slipway.errors import BuildError


class BuildConfig(Section):
    """All of it; ``model`` names what is built, in lower-case letters, digits and hyphens."""

    model: Annotated[str, StringConstraints(pattern=f"^{MODEL_NAME.pattern}$")]
    data: DataConfig
    network: NetworkConfig
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    student: NetworkConfig | None = None
    distil: DistilConfig = DistilConfig()
    compress: CompressConfig | None = None
    gates: GateConfig = GateConfig()
    tune: TuneConfig = TuneConfig()

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> "BuildConfig":
        if self.data.dev + self.data.test > 0.6:
            raise ValueError("data.dev and data.test together take more than 0.6 of the rows")
        return self

    @model_validator(mode="after")
    def _has_the_student_that_a_recipe_names(self) -> "BuildConfig":
        steps = {step.name for recipe in self.recipes for step in parse_recipe(recipe)}
        if "student" in steps and self.student is None:
            raise ValueError("compress.recipes has the step student, and there is no section [student]")
        return self

    @model_validator(mode="after")
    def _trims_what_was_learnt_elsewhere(self) -> "BuildConfig":
        for recipe in self.recipes:
            steps = {step.name for step in parse_recipe(recipe)}
            kind = self.student.kind if self.student and "student" in steps else self.network.kind
            if "trim" in steps and kind != "pretrained":
                raise ValueError(f"compress.recipes: {recipe!r} trims a vocabulary that a {kind} network learns here")
        return self

    @property
    def recipes(self) -> tuple[str, ...]:
        """The networks to compress into.

        Without a section [compress] it is one: half of the layers, distilled, where there is unlabelled text to distil
        with (docs/model-log.md), and else the trained network itself.
        """
        if self.compress is not None:
            return self.compress.recipes
        distillable = self.data.unlabelled and self.network.kind in ("pretrained", "transformer")
        return ("cut:0.5+distil",) if distillable else ("full",)


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
        if part not in getattr(model, "model_fields", {}):
            return []  # inside a free table, such as tune.space
        annotation = model.model_fields[part].annotation
        model = next((kind for kind in get_args(annotation) if isinstance(kind, type)), annotation)
    return list(getattr(model, "model_fields", {}))
