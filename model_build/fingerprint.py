"""Whether an artifact is what a build would make again, so that a second build costs nothing and none is stale."""

import hashlib
from pathlib import Path

from model_build.config import BuildConfig
from model_build.locations import local_input, local_path
from slipway import artifact, encoding, predictor, probabilities
from slipway.artifact import canonical_json, read_manifest, verify_files
from slipway.errors import ArtifactError

# How a build is started, searched for, sent away and compared changes nothing in it.
_WITHOUT_EFFECT = (
    *("cli.py", "locations.py", "commands/*", "tuning/*", "remote/*", "reporting/trials_plot.py"),
    *("evaluation/compare.py", "evaluation/comparison.py", "evaluation/score.py"),
)


def build_fingerprint(config: BuildConfig) -> str:
    """SHA-256 (hex) over what shapes an artifact: configuration, data, base model where it is local, and code."""
    digest = hashlib.sha256(canonical_json(config.model_dump(mode="json", exclude={"tune"})))
    for location in filter(None, (config.data.path, config.data.unlabelled)):
        with local_input(location) as path:
            _update_all(digest, path)
    if config.network.base:
        _update_all(digest, local_path(config.network.base))
    package = Path(__file__).parent
    for path in sorted([*package.rglob("*.py"), *package.rglob("templates/*")]):
        if not any(path.relative_to(package).match(pattern) for pattern in _WITHOUT_EFFECT):
            _update(digest, path)
    for module in (artifact, encoding, predictor, probabilities):
        _update(digest, Path(str(module.__file__)))
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


def _update_all(digest: "hashlib._Hash", path: Path) -> None:
    """A file, or every file below a directory; nothing where there is none, such as a name on the hub."""
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(path.parent).as_posix().encode())  # a folder's name may be a label
            _update(digest, file)


def _update(digest: "hashlib._Hash", path: Path) -> None:
    with path.open("rb") as file:
        digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
