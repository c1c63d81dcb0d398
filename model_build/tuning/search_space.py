"""What ``slipway tune`` searches: the keys of ``tune.space``, checked before anything is read or trained.

Only what the training of the full network depends on can be searched: any other key would be tuned on noise.
"""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, model_validator

from model_build.config import BuildConfig
from model_build.sections import AugmentConfig, NetworkConfig, Section, TrainConfig
from slipway.errors import BuildError

if TYPE_CHECKING:
    import optuna

_SECTIONS: dict[str, type[Section]] = {"network": NetworkConfig, "augment": AugmentConfig, "train": TrainConfig}
_RANGE = "Write a list of choices, or {low = 1e-5, high = 1e-3, log = true}."


class Range(Section):
    """All numbers from ``low`` to ``high``, both included; with ``step`` only every so many."""

    low: float
    high: float
    log: bool = False
    step: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _can_be_drawn_from(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and not self.low > 0:
            raise ValueError(f"low {self.low:g} has no logarithm")
        if self.log and self.step:
            raise ValueError("log and step exclude each other")
        return self


@dataclass(frozen=True)
class Dimension:
    """One key with the values that it may take. ``whole`` where the configuration wants an integer."""

    key: str
    values: Range | tuple[Any, ...]
    whole: bool = False

    def suggest(self, trial: "optuna.Trial") -> Any:
        """The value that ``trial`` is to be trained with."""
        if not isinstance(self.values, Range):
            return trial.suggest_categorical(self.key, self.values)
        low, high, step, log = self.values.low, self.values.high, self.values.step, self.values.log
        if step:
            high = low + step * math.floor((high - low) / step + 1e-9)
        if self.whole:
            return trial.suggest_int(self.key, int(low), int(high), step=int(step or 1), log=log)
        return trial.suggest_float(self.key, low, high, step=step, log=log)

    def holds(self, value: Any) -> bool:
        """Whether ``value`` may be drawn."""
        if not isinstance(self.values, Range):
            return value in self.values
        if self.values.step and not ((value - self.values.low) / self.values.step).is_integer():
            return False
        return bool(self.values.low <= value <= self.values.high)

    def examples(self) -> Sequence[Any]:
        """What stands for all values when they are checked."""
        if not isinstance(self.values, Range):
            return self.values
        return self.values.low, self.values.high, *([self.values.step] if self.whole and self.values.step else [])


def read_space(config: BuildConfig) -> list[Dimension]:
    """The dimensions of ``tune.space``. Raises BuildError naming the key that is unknown, or the value it cannot take.

    Values that are good alone and no good together are the matter of the trial that draws them: see ``with_values``.
    """
    space = [_read(key, given) for key, given in _flat(config.tune.space)]
    if not space:
        raise BuildError("tune.space is empty: there is nothing to search.", remedy='Add "train.learning_rate".')
    for dimension in space:
        for value in dimension.examples():
            if problem := _refusal(config, dimension.key, value):
                raise BuildError(f"tune.space: {dimension.key} cannot be {value!r}: {problem}.")
    return space


def with_values(config: BuildConfig, values: Mapping[str, Any]) -> BuildConfig:
    """``config`` with other values at these keys, checked as if it had been written so. Raises BuildError."""
    try:
        return _changed(config, values)
    except ValidationError as error:
        drawn = ", ".join(f"{key} = {value!r}" for key, value in values.items())
        raise BuildError(f"{drawn}: {error.errors()[0]['msg']}.") from error


def value_at(config: BuildConfig, key: str) -> Any:
    """The value of a dotted key."""
    section, _, name = key.partition(".")
    return getattr(getattr(config, section), name)


def _flat(space: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """``"train.epochs" = …`` with quotes is one key in TOML, and without them a table: both are meant alike."""
    for key, given in space.items():
        if "." not in key and isinstance(given, dict):
            yield from ((f"{key}.{name}", inner) for name, inner in given.items())
        else:
            yield key, given


def _read(key: str, given: Any) -> Dimension:
    kind = _field_kind(key)
    if isinstance(given, list):
        if not given or any(isinstance(choice, list | dict) for choice in given):
            raise BuildError(f"tune.space: {key} = {given!r} is no list of values to choose from.", remedy=_RANGE)
        return Dimension(key, tuple(dict.fromkeys(given)))
    if not isinstance(given, dict) or kind not in (int, float):
        raise BuildError(f"tune.space: {key} = {given!r} is not what values can be drawn from.", remedy=_RANGE)
    try:
        return Dimension(key, Range.model_validate(given), whole=kind is int)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join([key, *map(str, problem["loc"])])
        raise BuildError(f"tune.space: {where} = {problem['input']!r}: {problem['msg']}.", remedy=_RANGE) from error


def _field_kind(key: str) -> Any:
    section, _, name = key.partition(".")
    fields = _SECTIONS[section].model_fields if section in _SECTIONS else {}
    if name in fields:
        return fields[name].annotation
    if section in BuildConfig.model_fields and section not in _SECTIONS:
        raise BuildError(
            f"tune.space: {key} does not change how the full network trains.",
            remedy=f"Keys of {', '.join(_SECTIONS)} can be searched.",
        )
    known = [f"{section}.{name}" for section, model in _SECTIONS.items() for name in model.model_fields]
    near = difflib.get_close_matches(key, known, 1)
    raise BuildError(f"tune.space: {key!r} is not a known key." + (f" Did you mean {near[0]!r}?" if near else ""))


def _refusal(config: BuildConfig, key: str, value: Any) -> str | None:
    """What is wrong with ``value`` whatever the other keys are."""
    try:
        _changed(config, {key: value})
    except ValidationError as error:
        return next((problem["msg"] for problem in error.errors() if problem["loc"] == tuple(key.split("."))), None)
    return None


def _changed(config: BuildConfig, values: Mapping[str, Any]) -> BuildConfig:
    content = config.model_dump(mode="json", exclude_unset=True)
    for key, value in values.items():
        section, _, name = key.partition(".")
        content.setdefault(section, {})[name] = value
    return BuildConfig.model_validate(content)
