"""``slipway build compress tune evaluate compare``: from labelled text to an artifact, and what it is worth."""

from pathlib import Path
from typing import Annotated

import typer

from model_build.options import Artifact, Config, Json, Overrides, answer, progress
from slipway.artifact import read_manifest


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    for command in (build, compress, evaluate, compare):
        app.command()(command)


def build(
    config: Config,
    out: Annotated[Path, typer.Option(help="Where artifacts go: <out>/<model>/<version>.")] = Path("build"),
    overrides: Overrides = None,
    rebuild: Annotated[bool, typer.Option(help="Build even if this very artifact is there.")] = False,
    as_json: Json = False,
) -> None:
    """Clean, train, export, quantize, check every gate, and write an artifact.

    The same configuration, data, base and code are built once: a second call finds the artifact. A killed build goes on
    from its last checkpoint.
    """
    from model_build.config import read_config
    from model_build.fingerprint import find_built

    settings = read_config(config, overrides or [])
    directory = out / settings.model
    artifact = None if rebuild else find_built(settings, directory)
    if reused := artifact is not None:
        progress(as_json).print(f"  [bold]reused[/]   {artifact} (--rebuild builds it again)", highlight=False)
    else:
        from model_build.pipeline import build as run_build
        from model_build.stages import Build

        given = [part for override in overrides or [] for part in ("--set", override)]
        run = Build(
            config=settings, config_path=str(config), overrides=given, directory=directory, console=progress(as_json)
        )
        artifact = run_build(run)
    manifest = read_manifest(artifact)
    served = manifest.metrics["test"][manifest.serve]
    answer(
        as_json,
        {
            "artifact": str(artifact),
            "version": manifest.version,
            "digest": manifest.content_digest(),
            "reused": reused,
            "serve": manifest.serve,
            "metrics": manifest.metrics["test"],
        },
        f"{manifest.model} {manifest.version}: test accuracy {served['accuracy']:.4f} ({manifest.serve})",
    )


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
    from model_build.score import score_artifact

    measured = score_artifact(artifact, read_config(config, overrides or []), split=split, variant=variant)
    answer(as_json, measured, "\n".join(f"{name:<18} {value:.4f}" for name, value in measured.items()))


def compress(
    config: Config,
    out: Annotated[Path, typer.Option(help="Where the build works: <out>/<model>.")] = Path("build"),
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Try the grid of [compress] and show accuracy, flips, speed and size of every point, without building.

    What was trained stays: `slipway build` goes on from it. Exit code 3 if no point meets the constraint.
    """
    from model_build.config import read_config
    from model_build.frontier_report import frontier_table
    from model_build.pipeline import try_grid
    from model_build.stages import Build

    settings = read_config(config, overrides or [])
    run = Build(
        config=settings,
        config_path=str(config),
        overrides=overrides or [],
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
    from model_build.compare import compare as compare_artifacts
    from model_build.config import read_config

    found = compare_artifacts(*artifacts, read_config(config, overrides or []), split=split, variant=variant)
    answer(as_json, found.to_dict(), found.render_text())
