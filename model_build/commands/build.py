"""``slipway build compress tune evaluate compare``: from labelled text to an artifact, and what it is worth."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_build.commands.options import Artifact, Config, Json, Overrides, answer, progress
from model_build.commands.remote_options import BuildBucket, Hours, Image, InstanceType, On, Role, Spot, Wait
from slipway.artifact import read_manifest

if TYPE_CHECKING:
    from model_build.config import BuildConfig
    from model_build.remote.build import Remote


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    for command in (build, compress, evaluate, compare):
        app.command()(command)


def build(
    config: Config,
    out: Annotated[Path, typer.Option(help="Where artifacts go: <out>/<model>/<version>.")] = Path("build"),
    overrides: Overrides = None,
    rebuild: Annotated[bool, typer.Option(help="Build even if this very artifact is there.")] = False,
    on: On = "here",
    role: Role = "",
    image: Image = "",
    bucket: BuildBucket = "",
    instance_type: InstanceType = "ml.g5.xlarge",
    spot: Spot = False,
    hours: Hours = 8.0,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Clean, train, compress, check every gate, and write an artifact with its report.

    The same configuration, data, base and code are built once: a second call finds the artifact. A killed build goes on
    from its last checkpoint. With `--on sagemaker` a training job does it; the same command again waits for it.
    """
    from model_build.config import read_config

    settings = read_config(config, overrides or [])
    asked = Asked(settings=settings, config=config, overrides=_given(overrides), directory=out / settings.model)
    if on == "sagemaker":
        from model_build.remote.build import Remote

        remote = Remote(role=role, image=image, bucket=bucket, instance_type=instance_type, spot=spot, hours=hours)
        artifact, reused = _build_on_sagemaker(asked, remote, wait=wait, rebuild=rebuild, as_json=as_json), False
    else:
        artifact, reused = _build_here(asked, rebuild=rebuild, as_json=as_json)
    if artifact is not None:
        _tell(artifact, reused=reused, as_json=as_json)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a build was asked for; ``directory`` is where its artifacts go."""

    settings: "BuildConfig"
    config: Path
    overrides: list[str]
    directory: Path


def _build_here(asked: Asked, *, rebuild: bool, as_json: bool) -> tuple[Path, bool]:
    """The artifact, and whether it was there already."""
    from model_build.fingerprint import find_built

    console = progress(as_json)
    if not rebuild and (found := find_built(asked.settings, asked.directory)):
        console.print(f"  [bold]reused[/]    {found} (--rebuild builds it again)", highlight=False)
        return found, True
    from model_build.pipeline import build as run_build
    from model_build.stages import Build

    run = Build(
        config=asked.settings,
        config_path=str(asked.config),
        overrides=asked.overrides,
        directory=asked.directory,
        console=console,
    )
    return run_build(run), False


def _build_on_sagemaker(asked: Asked, remote: "Remote", *, wait: bool, rebuild: bool, as_json: bool) -> Path | None:
    """The artifact if it was waited for; else the name of the job is all there is to tell."""
    from model_build.remote.build import RemoteBuild, build_remotely

    run = RemoteBuild(
        config=asked.settings,
        config_path=str(asked.config),
        overrides=asked.overrides,
        directory=asked.directory,
        console=progress(as_json),
        remote=remote,
    )
    name, artifact = build_remotely(run, wait=wait, rebuild=rebuild)
    if artifact is None:
        answer(as_json, {"job": name}, f"{name} is under way; the same command with --wait fetches what it makes")
    return artifact


def _tell(artifact: Path, *, reused: bool, as_json: bool) -> None:
    manifest = read_manifest(artifact)
    served = manifest.metrics["test"][manifest.serve]
    document = {
        "artifact": str(artifact),
        "version": manifest.version,
        "digest": manifest.content_digest(),
        "reused": reused,
        "serve": manifest.serve,
        "metrics": manifest.metrics["test"],
    }
    text = f"{manifest.model} {manifest.version}: test accuracy {served['accuracy']:.4f} ({manifest.serve})"
    answer(as_json, document, text)


def _given(overrides: list[str] | None) -> list[str]:
    """As they were written, for the command on the card."""
    return [part for override in overrides or [] for part in ("--set", override)]


def evaluate(
    artifact: Artifact,
    config: Config,
    split: Annotated[str, typer.Option(help="train, dev, test, or all of the data.")] = "test",
    variant: Annotated[str | None, typer.Option(help="int8, fp16 or fp32; by default the one that serves.")] = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Score an artifact on labelled text; `--set data.path=…` takes other data than it was built from."""
    from model_build.config import read_config
    from model_build.evaluation.score import score_artifact

    measured = score_artifact(artifact, read_config(config, overrides or []), split=split, variant=variant)
    answer(as_json, measured, "\n".join(f"{name:<18} {value:.4f}" for name, value in measured.items()))


def compress(
    config: Config,
    out: Annotated[Path, typer.Option(help="Where the build works: <out>/<model>.")] = Path("build"),
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Try the grid of the section compress and show accuracy, flips, speed and size of each point, without building.

    What was trained stays: `slipway build` goes on from it. Exit code 3 if no point meets the constraint.
    """
    from model_build.config import read_config
    from model_build.pipeline import try_grid
    from model_build.reporting.frontier_report import frontier_table
    from model_build.stages import Build

    settings = read_config(config, overrides or [])
    run = Build(
        config=settings,
        config_path=str(config),
        overrides=_given(overrides),
        directory=out / settings.model,
        console=progress(as_json),
    )
    points, plot = try_grid(run)
    document = {"points": [point.to_dict() for point in points], "plot": str(plot)}
    answer(as_json, document, f"{frontier_table(points)}\n\nplot: {plot}")


def compare(
    artifacts: Annotated[tuple[Path, Path], typer.Argument(help="Two artifact directories, the old one first.")],
    config: Config,
    split: Annotated[str, typer.Option(help="train, dev, test, or all of the data.")] = "test",
    variant: Annotated[str | None, typer.Option(help="int8, fp16 or fp32; by default what each serves.")] = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Hold two versions against each other on the same texts: McNemar's test, the answers that changed, size, speed."""
    from model_build.config import read_config
    from model_build.evaluation.compare import compare as compare_artifacts

    found = compare_artifacts(*artifacts, read_config(config, overrides or []), split=split, variant=variant)
    answer(as_json, found.to_dict(), found.render_text())
