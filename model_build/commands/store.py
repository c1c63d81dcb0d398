"""``slipway publish promote rollback history diff verify predict``: what is done with a built artifact."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model_build.commands import bake as commands_bake
from model_build.commands.live import live_artifact
from model_build.commands.options import Artifact, Bucket, By, Json, LiveBucket, Model, Why, answer
from model_build.commands.signing_options import Sign, Trusted
from model_build.commands.store_tables import difference_table, history_table, percent
from model_build.signing import open_signer
from slipway.artifact import read_manifest
from slipway.releases import Live
from slipway.store import Store

Version = Annotated[str, typer.Argument(help="A published version, `latest`, `live`, `canary` or `shadow`.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    for command in (publish, promote, rollback, history, diff, verify, predict):
        app.command()(command)


def publish(artifact: Artifact, bucket: Bucket, sign: Sign = "", as_json: Json = False) -> None:
    """Upload an artifact to the model store, signed if there is a key. It serves nothing until it is promoted."""
    model = read_manifest(artifact).model
    signer = open_signer(sign) if sign else None
    version = Store(bucket, model).publish(artifact, sign=signer.manifest_signature if signer else None)
    document = {"model": model, "version": version, "bucket": bucket, "signed_by": signer and signer.fingerprint}
    answer(as_json, document, f"published {model} {version}" + (f", signed by {signer.fingerprint}" if signer else ""))


def promote(  # noqa: PLR0913 - the options of a command are its arguments
    version: Version,
    bucket: Bucket,
    model: Model,
    by: By,
    *,
    canary: Annotated[float | None, typer.Option(help="Per cent of the requests that it answers, for a start.")] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="It answers nobody, and is scored beside live.")] = False,
    share: Annotated[float | None, typer.Option(help="Per cent of the requests that a shadow scores. [100]")] = None,
    bake: commands_bake.Time = None,
    steps: commands_bake.Steps = None,
    bounds: commands_bake.Limits = None,
    patience: commands_bake.Patience = None,
    why: Why = "",
    trusted_keys: Trusted = "",
    as_json: Json = False,
) -> None:
    """Make a published version live, or try it beside the live one. Warm functions follow within 30 seconds."""
    weight, sampled = _part("canary", canary, below=True), _part("share", share, below=False)
    if (canary is not None and shadow) or (share is not None and not shadow):
        raise typer.BadParameter("--canary and --shadow exclude each other, and --share belongs to --shadow")
    wish = commands_bake.Wish.read(canary=canary, bake=bake, steps=steps, bounds=bounds, patience=patience)
    store = Store(bucket, model, trusted_keys=trusted_keys)
    version = _resolve(store, version)
    if wish:
        watched = commands_bake.bake_canary(store, version, wish, bucket=bucket, by=by, why=why)
        commands_bake.report_bake(as_json, model, *watched)
        return
    if weight is not None:
        live = store.canary(version, weight, by=by, why=why)
    elif shadow:
        live = store.shadow(version, sampled or 1.0, by=by, why=why)
    else:
        live = store.promote(version, by=by, why=why)
    _report(as_json, model, live)


def rollback(
    bucket: Bucket,
    model: Model,
    by: By,
    to: Annotated[str | None, typer.Option(help="A published version; by default the one that served before.")] = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Withdraw a canary or shadow; if there is none, make the previous version live again (twice goes back two)."""
    _report(as_json, model, Store(bucket, model).rollback(by=by, why=why, to=to))


def history(bucket: Bucket, model: Model, as_json: Json = False) -> None:
    """List which version served when, who decided and why, newest first."""
    entries = Store(bucket, model).history()[::-1]
    if as_json or not entries:
        documents = [json.loads(entry.to_json()) for entry in entries]
        answer(as_json, documents, f"no version of {model} was promoted yet")
        return
    Console().print(history_table(entries))


def diff(a: Version, b: Version, bucket: Bucket, model: Model, as_json: Json = False) -> None:
    """Compare what two published versions say of themselves; `slipway compare` has both answer the same texts."""
    store = Store(bucket, model)
    difference = store.diff(_resolve(store, a), _resolve(store, b))
    answer(as_json, difference.to_dict(), f"A {difference.a}\nB {difference.b}")
    if not as_json:
        Console().print(difference_table(difference))


def verify(version: Version, bucket: Bucket, model: Model, trusted_keys: Trusted = "", as_json: Json = False) -> None:
    """Read every file of a published version again, and its signature; refuse what is damaged or not trusted."""
    store = Store(bucket, model, trusted_keys=trusted_keys)
    version = _resolve(store, version)
    files, signer = len(store.check(version).files), store.signer(version)
    document = {"model": model, "version": version, "files": files, "signed_by": signer, "trusted": bool(trusted_keys)}
    by = f"signed by {signer}, {'a trusted key' if trusted_keys else 'whoever that is'}" if signer else "not signed"
    answer(as_json, document, f"{model} {version}: {files} files are what the manifest says; {by}")


def predict(
    texts: Annotated[list[str], typer.Argument(help="Texts to classify.")],
    artifact: Annotated[Path | None, typer.Option(help="A built artifact; by default the live version.")] = None,
    bucket: LiveBucket = None,
    model: Annotated[str | None, typer.Option(envvar="SLIPWAY_MODEL", help="The model's name.")] = None,
    trusted_keys: Trusted = "",
    as_json: Json = False,
) -> None:
    """Classify texts here, with a built artifact or with the version that is live."""
    from slipway.answers import answer as answers_of
    from slipway.dialects import v1
    from slipway.loading import load_predictor
    from slipway.requests import Parameters, read_text

    for position, text in enumerate(texts):
        read_text(text, f"text {position + 1}")
    with tempfile.TemporaryDirectory() as scratch:
        predictor = load_predictor(artifact or live_artifact(bucket, model, trusted_keys, Path(scratch)))
        answers = v1.render(answers_of(predictor.predict(texts), predictor.manifest, Parameters()))
    lines = (f"{a['label']:<12} {a['score']:.4f}  {text}" for a, text in zip(answers, texts, strict=True))
    answer(as_json, {"model_version": predictor.manifest.version, "predictions": answers}, "\n".join(lines))


def _resolve(store: Store, version: str) -> str:
    """``latest`` is the newest published version; a label is the version that has it now."""
    if version == "latest":
        return next(iter(store.versions()[::-1]), version)
    if version not in ("live", "canary", "shadow") or (now := store.live()) is None:
        return version
    named = {"live": now, "canary": now.canary, "shadow": now.shadow}[version]
    return named.version if named else version


def _part(option: str, percentage: float | None, *, below: bool) -> float | None:
    """Per cent as a part of one. Raises typer.BadParameter."""
    if percentage is None:
        return None
    if not 0 < percentage <= 100 or (below and percentage == 100):
        bounds = f"above 0 and {'below' if below else 'at most'} 100"
        raise typer.BadParameter(f"--{option} {percentage:g} is not a percentage {bounds}")
    return percentage / 100


def _report(as_json: bool, model: str, live: Live) -> None:
    told = [f"{model} {live.version} is live"]
    if live.canary:
        told.append(f"{live.canary.version} answers {percent(live.canary.weight)} of the requests as a canary")
    if live.shadow:
        told.append(f"{live.shadow.version} scores {percent(live.shadow.share)} of the requests as a shadow")
    answer(as_json, json.loads(live.to_json()), "\n".join(told))
