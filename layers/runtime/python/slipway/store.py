"""The model store: versions, the live pointer and its ledger. The only user of S3 for models.

models/<model>/<version>/…              immutable; complete once its manifest.json is there, which is written last
models/<model>/live.json                replaced by conditional write (If-Match)
models/<model>/ledger/<time>-<version>.json   created by conditional write (If-None-Match), never changed
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slipway.artifact import MANIFEST, VERSION, Manifest, Variant, read_manifest, serving_files, verify_files
from slipway.errors import ArtifactError, Conflict, StoreError, UnknownVersion
from slipway.objects import NoSuchObject, Objects
from slipway.releases import Action, Live, new_live, release_stack

_LIVE = "live.json"


class Store:
    """The versions and the live pointer of one model in one bucket. Every method raises StoreError where S3 refuses."""

    def __init__(self, bucket: str, model: str, client: Any = None) -> None:
        self.model = model
        self._objects = Objects(bucket, f"models/{model}/", client)

    def publish(self, directory: Path) -> str:
        """Upload an artifact and return its version. Publishing the same artifact again changes nothing.

        Raises ArtifactError if the directory is incomplete or damaged, StoreError if it is another model's.
        """
        manifest = read_manifest(directory)
        if manifest.model != self.model:
            raise StoreError(f"{directory} holds the model {manifest.model!r}, not {self.model!r}.")
        verify_files(directory, manifest)
        for name, entry in manifest.files.items():
            self._upload(f"{manifest.version}/{name}", directory / name, entry.sha256)
        self._upload(f"{manifest.version}/{MANIFEST}", directory / MANIFEST, manifest.digest())
        return manifest.version

    def versions(self) -> list[str]:
        """Complete versions, oldest first."""
        names = (key.split("/") for key in self._objects.names())
        return sorted(name[0] for name in names if len(name) == 2 and name[1] == MANIFEST)

    def manifest(self, version: str) -> Manifest:
        """The manifest of a published version. Raises StoreError if there is no such version."""
        return Manifest.from_json(self._manifest_bytes(version), source=f"{version}/{MANIFEST}")

    def fetch(self, version: str, variant: Variant | None, into: Path) -> Path:
        """Download what serves ``variant`` (the manifest's own choice if None) to ``into/<version>``.

        It appears complete or not at all.

        The bytes are not checked here: ``load_predictor`` does that, each time it opens them. Raises UnknownVersion if
        there is no such version, ArtifactError if one of its files is missing.
        """
        target = into / version
        if (target / MANIFEST).exists():
            return target
        manifest = self._manifest_bytes(version)
        variant = variant or Manifest.from_json(manifest, source=self._objects.url(f"{version}/{MANIFEST}")).serve
        try:
            into.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(dir=into))
            try:
                for name in serving_files(variant):
                    self._objects.download(f"{version}/{name}", scratch / name)
                (scratch / MANIFEST).write_bytes(manifest)
                self._appear(scratch, target)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        except NoSuchObject as error:
            raise ArtifactError(f"{self.model} {version} is not complete: {error.detail}") from error
        except OSError as error:
            raise StoreError(f"{self.model} {version} cannot be kept in {into}: {error}.") from error
        return target

    def live(self) -> Live | None:
        """The live pointer, or None before the first promotion."""
        return self._live()[0]

    def history(self) -> list[Live]:
        """What served when, oldest first; the last entry is the live one."""
        keys = sorted(self._objects.names("ledger/"))
        entries = [Live.from_json(found[0], source=key) for key in keys if (found := self._objects.read(key))]
        live = self.live()
        return entries if live is None or live in entries else [*entries, live]

    def promote(self, version: str, *, by: str, why: str) -> Live:
        """Make a published version live. Of two promotions at once both are recorded, and the later one serves."""
        return self._switch("promote", lambda: version, by=by, why=why, attempts=5)

    def rollback(self, *, by: str, why: str, to: str | None = None) -> Live:
        """Make the previous version, or ``to``, live again.

        Raises Conflict if somebody changed the pointer meanwhile: what "previous" means has changed with it.
        """
        return self._switch("rollback", lambda: to or self._previous(), by=by, why=why, attempts=1)

    def _switch(self, action: Action, choose: Callable[[], str], *, by: str, why: str, attempts: int) -> Live:
        for _ in range(attempts):
            present, etag = self._live()
            version = choose()
            self._manifest_bytes(version)
            live = new_live(version, action, by=by, why=why, after=present)
            if present:  # an entry that a process killed between its two writes still owes
                self._record(present)
            if self._point(live, etag) or self.live() == live:  # written, though the answer to it was lost
                self._record(live)
                return live
        raise Conflict(
            f"The live version of {self.model!r} was changed by somebody else at the same time.",
            remedy="Look at `slipway history`, then decide again.",
        )

    def _previous(self) -> str:
        stack = release_stack(self.history())
        if len(stack) < 2:
            raise StoreError(
                f"No version of {self.model!r} served before the present one: there is nothing to roll back to.",
                remedy="`slipway rollback --to VERSION` takes any published version.",
            )
        return stack[-2]

    @staticmethod
    def _appear(scratch: Path, target: Path) -> None:
        try:
            scratch.replace(target)
        except OSError:
            if not (target / MANIFEST).exists():  # else another fetch of the same version came first
                raise

    def _live(self) -> tuple[Live | None, str]:
        found = self._objects.read(_LIVE)
        return (Live.from_json(found[0], source=self._objects.url(_LIVE)), found[1]) if found else (None, "")

    def _point(self, live: Live, etag: str) -> bool:
        body = live.to_json()
        return self._objects.replace(_LIVE, body, etag=etag) if etag else self._objects.create(_LIVE, body)

    def _record(self, live: Live) -> None:
        self._objects.create(f"ledger/{live.ledger_name()}", live.to_json())

    def _manifest_bytes(self, version: str) -> bytes:
        found = self._objects.read(f"{version}/{MANIFEST}") if VERSION.fullmatch(version) else None
        if found is None:
            raise UnknownVersion(
                f"The model {self.model!r} has no version {version!r} in {self._objects.url()}.",
                remedy="Publish it first; `slipway history` lists what has served.",
            )
        return found[0]

    def _upload(self, name: str, path: Path, sha256: str) -> None:
        with path.open("rb") as body:
            created = self._objects.create(name, body, sha256=sha256)
        if not created and self._objects.sha256(name) != sha256:
            raise StoreError(f"{self._objects.url(name)} exists with other content; it is not overwritten.")
