"""Whether an artifact is what a build would make again, so that a second build costs nothing and none is stale."""

import hashlib
from pathlib import Path

from model_build.config import BuildConfig
from model_build.locations import local_file, local_path
from slipway import artifact, encoding, predictor
from slipway.artifact import canonical_json, read_manifest, verify_files
from slipway.errors import ArtifactError

_WITHOUT_EFFECT = {"cli.py", "locations.py"}  # how a build is started and found changes nothing in it


def build_fingerprint(config: BuildConfig) -> str:
    """SHA-256 (hex) over what shapes an artifact: configuration, data, base model where it is local, and code."""
    digest = hashlib.sha256(canonical_json(config.model_dump(mode="json")))
    with local_file(config.data.path) as path:
        _update(digest, path)
    base = local_path(config.network.base)
    code = sorted(p for p in Path(__file__).parent.glob("*.py") if p.name not in _WITHOUT_EFFECT)
    for path in [*sorted(base.glob("*")), *code, *(Path(str(m.__file__)) for m in (artifact, encoding, predictor))]:
        if path.is_file():
            _update(digest, path)
    return digest.hexdigest()


def find_built(config: BuildConfig, directory: Path) -> Path | None:
    """The newest whole artifact in ``directory`` with the fingerprint of ``config``; None if there is none."""
    fingerprint = build_fingerprint(config)
    for path in sorted((p.parent for p in directory.glob("*/manifest.json")), reverse=True):
        try:
            manifest = read_manifest(path)
            if manifest.build_fingerprint == fingerprint:
                verify_files(path, manifest)
                return path
        except ArtifactError:
            continue  # of an older schema, or damaged: building again is the remedy
    return None


def _update(digest: "hashlib._Hash", path: Path) -> None:
    with path.open("rb") as file:
        digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
