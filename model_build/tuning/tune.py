"""The search for the best training: every trial is the full network trained with other values, scored on dev alone.

Data are read and cleaned once. Each trial has a directory of its own, named after its number and its configuration, so
that a killed trial goes on from its last checkpoint and none ever finds the files of another.
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial
from rich.console import Console
from rich.status import Status

from model_build.config import BuildConfig
from model_build.data.clean import Dataset, clean
from model_build.data.read import read_rows
from model_build.reporting.trials_plot import plot_trials
from model_build.stages import Build
from model_build.tuning import study as studies
from model_build.tuning.search_space import Dimension, read_space, value_at, with_values
from model_build.tuning.toml_writer import to_toml
from slipway.artifact import canonical_json
from slipway.errors import BuildError

if TYPE_CHECKING:
    from model_build.training.trainer import OnCheck

BEST, PLOT = "best.toml", "trials.png"


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What the study knows. ``trials`` are as ``study.describe_trials`` gives them; ``best`` is one of them."""

    study: str
    database: Path
    config: Path
    plot: Path
    trials: Sequence[dict[str, Any]]
    best: dict[str, Any]
    importance: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        paths = {"database": str(self.database), "config": str(self.config), "plot": str(self.plot)}
        return {"study": self.study, "best": self.best, "trials": self.trials, "importance": self.importance} | paths


def tune(run: Build) -> Tuned:
    """Train until the study has ``tune.trials`` trials, and write the best configuration and a plot of all.

    A killed call goes on where it was, and one with more trials adds to them. With ``train.processes`` above 1 no trial
    is pruned: scores are known when a training ends. Raises BuildError for a space that cannot be searched, if another
    search is at work in the directory, and if no trial came to its end.
    """
    space = read_space(run.config)
    with studies.alone(run.directory):
        work = _work_directory(run)
        dataset = clean(read_rows(run.config.data), run.config.data, work / "data")
        sizes = f"{len(dataset.splits['train'])} texts to train on, {len(dataset.splits['dev'])} to score on"
        run.say("data", sizes)
        name = studies.study_name(run.config, dataset.fingerprint())
        with studies.open_study(run.directory / f"{name}.db", run.config) as study:
            studies.start_with(study, _present_values(run.config, space))
            done = len(studies.finished_trials(study))
            run.say("study", f"{name}: {done} of {run.config.tune.trials} trials are done")
            Search(run=run, space=space, dataset=dataset, work=work, study=study).run_trials()
            tuned = _write(run, study)
        shutil.rmtree(work, ignore_errors=True)
    return tuned


@dataclass(frozen=True, kw_only=True)
class Search:
    """The trials of one call."""

    run: Build
    space: Sequence[Dimension]
    dataset: Dataset
    work: Path
    study: optuna.Study

    def run_trials(self) -> None:
        """Train what is missing to ``tune.trials``."""
        missing = self.run.config.tune.trials - len(studies.finished_trials(self.study))
        if missing > 0:
            self.study.optimize(self._train, n_trials=missing, callbacks=[self._conclude])

    def _train(self, trial: optuna.Trial) -> float:
        """The dev score of a trial. Values that cannot be trained are a pruned trial with a reason."""
        import torch

        values = {dimension.key: dimension.suggest(trial) for dimension in self.space}
        with self.run.console.status(f"  trial {trial.number}") as status:
            try:
                config = with_values(self.run.config, values)
                return self._score(config, trial, status)
            except (BuildError, torch.OutOfMemoryError) as error:
                trial.set_user_attr("reason", " ".join(str(error).split()))
                raise optuna.TrialPruned from error

    def _score(self, config: BuildConfig, trial: optuna.Trial, status: Status) -> float:
        from model_build.compression.students import Workshop
        from model_build.data.corpora import Corpora

        workshop = Workshop(
            corpora=Corpora(config, self.dataset, self.work),
            work=self._directory(trial, config),
            console=Console(quiet=True),  # its own: a training that is pruned never takes its progress bar down
            scalars=self.run.directory / "tensorboard" / self.study.study_name / f"{trial.number:04d}",
            threads=os.cpu_count() or 1,
        )
        return float(workshop.train_full(on_check=_reporter(trial, status)).report["best_dev_score"])

    def _directory(self, trial: optuna.Trial, config: BuildConfig) -> Path:
        """Where the trial's checkpoints are: for one that repeats a killed one, where that one's were."""
        digest = hashlib.sha256(canonical_json(config.model_dump(mode="json"))).hexdigest()[:12]
        name = str(trial.user_attrs.get("directory", f"{self.study.study_name}-{trial.number:04d}-{digest}"))
        trial.set_user_attr("directory", name)
        directory = self.work / "trials" / name
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def _conclude(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Tell how the trial ended, remove its files, and write the best configuration so far."""
        shutil.rmtree(self.work / "trials" / trial.user_attrs.get("directory", "none"), ignore_errors=True)
        (told,) = studies.describe_trials([trial])
        score = "no score" if told["score"] is None else f"dev score {told['score']:.4f}"
        why = told["reason"] or ("pruned" if told["state"] == "pruned" else "")
        self.run.say(f"trial {trial.number}", ", ".join(filter(None, (score, why))))
        if told["state"] == "complete" and study.best_trial.number == trial.number:
            write_best(self.run, study)


def write_best(run: Build, study: optuna.Study) -> Path:
    """Write ``best.toml``: the configuration that was given, with the values of the best trial."""
    best = studies.best_trial(study)
    config = with_values(run.config, best.params)
    source = f"trial {best.number} of the study {study.study_name} from {run.config_path!r}"
    path, partial = run.directory / BEST, run.directory / f"{BEST}.partial"
    content = to_toml(config.model_dump(mode="json", exclude_unset=True, exclude_none=True))
    partial.write_text(f"# Dev score {best.value:.4f}: {source}.\n{content}", "utf-8")
    partial.rename(path)
    return path


def _write(run: Build, study: optuna.Study) -> Tuned:
    path = write_best(run, study)
    trials = studies.describe_trials(studies.finished_trials(study))
    importance = studies.importances(study)
    (run.directory / PLOT).write_bytes(plot_trials(trials, importance))
    best = studies.best_trial(study).number
    return Tuned(
        study=study.study_name,
        database=run.directory / f"{study.study_name}.db",
        config=path,
        plot=run.directory / PLOT,
        trials=trials,
        best=next(trial for trial in trials if trial["number"] == best),
        importance=importance,
    )


def _reporter(trial: optuna.Trial, status: Status) -> "OnCheck":
    """Tells the study each check's score. Steps differ between batch sizes, so trials are compared by checks."""

    def report(step: int, score: float) -> None:
        first = trial.user_attrs.get("first_check")
        if first is None:  # a repeated trial begins at a later one, and knows the first from before
            trial.set_user_attr("first_check", first := step)
        number = step // first
        status.update(f"  trial {trial.number}, check {number}: dev score {score:.4f}")
        trial.report(score, number)
        if trial.should_prune():
            raise optuna.TrialPruned

    return report


def _present_values(config: BuildConfig, space: Sequence[Dimension]) -> dict[str, Any]:
    """What the configuration says of the keys that are searched, where that is in the space."""
    values = {dimension.key: value_at(config, dimension.key) for dimension in space}
    return {dimension.key: values[dimension.key] for dimension in space if dimension.holds(values[dimension.key])}


def _work_directory(run: Build) -> Path:
    """For cleaned data, tokens and checkpoints; its name says which data settings they are of."""
    digest = hashlib.sha256(canonical_json(run.config.data.model_dump(mode="json"))).hexdigest()[:12]
    work = run.directory / f".work-{digest}"
    work.mkdir(exist_ok=True)
    return work
