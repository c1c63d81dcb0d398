"""Which network ships, in which precision: the one recipe there is, or the best point of a grid."""

from model_build.compression import frontier
from model_build.compression.frontier import Candidate
from model_build.compression.students import Trained
from model_build.graphs.sensitivity import Promise
from model_build.sections import CompressConfig
from model_build.stages import Build, Prepared, Shipped
from slipway.encoding import TokenIds

_CALIBRATION_TEXTS = 256
_PROMISE_TEXTS = 1_000


def choose(run: Build, prepared: Prepared, full: Trained) -> Shipped:
    """What ``[compress]`` asks for. Raises GateFailed if no point of the grid meets its constraint."""
    if run.config.compress is not None:
        return choose_from_grid(run, prepared, full, run.config.compress)
    (recipe,) = run.config.recipes
    made = prepared.workshop.follow(recipe, full)
    if recipe != "full":
        run.say("compress", f"{recipe}: dev score {made.report['best_dev_score']:.4f}")
    return Shipped(trained=made, recipe=recipe, precision="rows")


def choose_from_grid(run: Build, prepared: Prepared, full: Trained, grid: CompressConfig) -> Shipped:
    """Make every network in every precision, measure them side by side, and take the point that ships."""
    made = {recipe: prepared.workshop.follow(recipe, full) for recipe in dict.fromkeys(("full", *grid.recipes))}
    candidates = [c for recipe, trained in made.items() for c in _candidates(run, prepared, recipe, trained, grid)]
    with run.console.status(f"  measuring {len(candidates)} candidates side by side"):
        points = frontier.measure(candidates, prepared.dataset.task)
    reference = next(p.dev_accuracy for p in points if (p.recipe, p.precision) == ("full", "fp32"))
    points = frontier.choose(points, grid, full=reference, flips=run.config.gates.cpu_flips)
    chosen = next(point for point in points if point.chosen)
    run.say("compress", f"{chosen.recipe} in {chosen.precision}: {chosen.ms} ms a text, {chosen.megabytes} MB")
    return Shipped(trained=made[chosen.recipe], recipe=chosen.recipe, precision=chosen.precision, points=points)


def calibration_tokens(prepared: Prepared, trained: Trained) -> list[TokenIds]:
    """What int8 is calibrated on: the first training texts."""
    return prepared.corpora.first_tokens("train", trained.encoder, _CALIBRATION_TEXTS)


def promise(run: Build, prepared: Prepared, trained: Trained) -> Promise:
    """What int8 must keep on dev, so that the gate of flips has a chance on test."""
    return Promise(
        dev=prepared.corpora.first_tokens("dev", trained.encoder, _PROMISE_TEXTS),
        flips=run.config.gates.cpu_flips,
        task=prepared.dataset.task,
        pad_id=trained.pad_id,
    )


def _candidates(run: Build, prepared: Prepared, recipe: str, trained: Trained, grid: CompressConfig) -> list[Candidate]:
    return frontier.write_candidates(
        recipe,
        trained,
        grid.precisions if recipe in grid.recipes else ["fp32"],
        calibration=calibration_tokens(prepared, trained),
        promise=promise(run, prepared, trained),
        dev=prepared.corpora.rows("dev", trained.encoder),
        test=prepared.corpora.rows("test", trained.encoder),
        directory=prepared.work / "frontier" / recipe.replace(":", "-"),
    )
