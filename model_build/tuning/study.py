"""The study that remembers every trial: SQLite through Optuna, one process at a time, nothing lost to a kill."""

import fcntl
import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from model_build.config import BuildConfig
from slipway.artifact import canonical_json
from slipway.errors import BuildError

_SHAPING = {"data", "network", "augment", "train"}  # sections that the full network depends on
_STARTUP_TRIALS = 5  # that no later trial is measured against before so many have ended
_IMPORTANCE_TRIALS = 4
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def study_name(config: BuildConfig, data_fingerprint: str) -> str:
    """12 hex digits: other data, another space or other settings are another study; more trials are not."""
    settings = config.model_dump(mode="json", include=_SHAPING) | {
        "tune": config.tune.model_dump(mode="json", exclude={"trials"})
    }
    return hashlib.sha256(canonical_json([settings, data_fingerprint])).hexdigest()[:12]


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Make ``directory`` and keep other searches out of it, however this one ends.

    Raises BuildError if one is at work there, or it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("w")
    except OSError as error:
        raise BuildError(f"{directory} cannot be made: {error.strerror}.", remedy="Choose another --out.") from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BuildError(
                f"Another search is at work in {directory}.", remedy="Wait for it, or choose another --out."
            ) from error
        yield


@contextmanager
def open_study(database: Path, config: BuildConfig) -> Iterator[optuna.Study]:
    """The study in ``database``, a new one if there is none; trials that a kill ended wait there for their second run.

    Trials are pruned when they fall below the median of the others at the same check, not before the first epoch's end.
    It is for who is ``alone``. Raises BuildError if the database cannot be read.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with _storage(database) as storage:
        study = optuna.create_study(
            storage=storage,
            study_name=database.stem,
            load_if_exists=True,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(_STARTUP_TRIALS, n_warmup_steps=config.train.checks),
        )
        # Another seed with every trial: a study that goes on would draw its first values again.
        study.sampler = optuna.samplers.TPESampler(seed=config.tune.seed + len(study.trials))
        _repeat_interrupted(study)
        yield study


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Those that count: trained to the end, or pruned."""
    return study.get_trials(states=FINISHED)


def best_trial(study: optuna.Study) -> FrozenTrial:
    """The first of those with the best dev score. Raises BuildError if none was trained to its end."""
    if study.get_trials(states=(TrialState.COMPLETE,)):
        return study.best_trial
    reasons = [trial.user_attrs["reason"] for trial in study.trials if "reason" in trial.user_attrs]
    raise BuildError(
        f"None of {len(study.trials)} trials came to an end. {reasons[-1] if reasons else ''}".strip(),
        remedy="Narrow tune.space to values that can be trained.",
    )


def importances(study: optuna.Study) -> dict[str, float]:
    """The share of each key in how good trials differ from the others (PED-ANOVA); empty where trials are too few."""
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    if len(complete) < _IMPORTANCE_TRIALS or len({trial.value for trial in complete}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {key: round(share, 4) for key, share in found.items()}


def start_with(study: optuna.Study, values: Mapping[str, Any]) -> None:
    """Let the first trial be the configuration as it is, so that what is found is held against it."""
    if not study.trials:
        study.enqueue_trial(dict(values))


def _repeat_interrupted(study: optuna.Study) -> None:
    """A trial that is still running, with nobody else here, was killed; one that failed was interrupted."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    repeated = {trial.user_attrs.get("repeats") for trial in study.trials}
    for trial in study.get_trials(states=(TrialState.FAIL,)):
        if trial.number not in repeated:
            planned = trial.system_attrs.get("fixed_params", {})  # all there is of one killed before it began
            study.enqueue_trial(planned | trial.params, user_attrs=trial.user_attrs | {"repeats": trial.number})


@contextmanager
def _storage(database: Path) -> Iterator[optuna.storages.RDBStorage]:
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{database}")
    except (SQLAlchemyError, RuntimeError) as error:  # RuntimeError: of another version of Optuna
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise BuildError(f"{database} cannot be opened: {reason}.", remedy="Move it away to start over.") from error
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def describe_trials(trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """Trials as JSON documents. A pruned one has the score of its last check; ``checks`` are all scores in order."""
    return [
        {
            "number": trial.number,
            "state": "complete" if trial.state == TrialState.COMPLETE else "pruned",
            "score": trial.value if trial.state == TrialState.COMPLETE else trial.intermediate_values.get(_last(trial)),
            "values": trial.params,
            "checks": [score for _, score in sorted(trial.intermediate_values.items())],
            "seconds": round(trial.duration.total_seconds(), 1) if trial.duration else 0.0,
            "reason": trial.user_attrs.get("reason", ""),
        }
        for trial in trials
    ]


def _last(trial: FrozenTrial) -> int:
    return trial.last_step or 0
