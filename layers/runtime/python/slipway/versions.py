"""The versions of a model: published once and whole, found, checked and fetched. What of them serves is ``Store``'s.

models/<model>/<version>/…              immutable; complete once its manifest.json is there, which is written last
models/<model>/<version>/manifest.sig   who made it, if it was signed: see ``slipway.signatures``
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.artifact import MANIFEST, VERSION, Manifest, Variant, read_manifest, verify_files
from slipway.beside import beside
from slipway.errors import ArtifactError, Conflict, NoSuchObject, StoreError, UnknownVersion
from slipway.settings import in_lambda_with_credentials

if TYPE_CHECKING:
    from slipway.differences import Difference
    from slipway.objects import Objects
    from slipway.quick_objects import QuickObjects
    from slipway.signatures import TrustedKeys


class Versions:
    """The versions of one model in one bucket. Every method raises StoreError where S3 refuses."""

    def __init__(
        self, bucket: str, model: str, client: Any = None, *, serving: bool = False, trusted_keys: str = ""
    ) -> None:
        """``serving`` is for a function, which only reads and starts anew all the time: see ``quick_objects``.

        With ``trusted_keys``, fingerprints separated by commas, every manifest that is read here must be signed by one
        of them; otherwise it is an ArtifactError. Raises SettingsError if they are no fingerprints.
        """
        self.model = model
        self._trusted = _read_keys(trusted_keys) if trusted_keys else None
        self._objects = open_objects(bucket, f"models/{model}/", client, serving=serving)

    def publish(self, directory: Path, *, sign: Callable[[bytes], bytes] | None = None) -> str:
        """Upload an artifact and return its version. Publishing the same artifact again changes nothing.

        ``sign`` makes the content of ``manifest.sig`` of that of the manifest. A version that was published unsigned,
        or signed with another key, has the new signature from then on: it is about the version, not a part of it.

        Raises ArtifactError if the directory is incomplete or damaged, StoreError if it is another model's.
        """
        manifest = read_manifest(directory)
        if manifest.model != self.model:
            raise StoreError(f"{directory} holds the model {manifest.model!r}, not {self.model!r}.")
        verify_files(directory, manifest)
        for name, entry in manifest.files.items():
            self._upload(f"{manifest.version}/{name}", directory / name, entry.sha256)
        if sign:
            self._sign(manifest.version, sign((directory / MANIFEST).read_bytes()))
        self._upload(f"{manifest.version}/{MANIFEST}", directory / MANIFEST, manifest.digest())
        return manifest.version

    def versions(self) -> list[str]:
        """Complete versions, oldest first."""
        names = (key.split("/") for key in self._objects.names())
        return sorted(name[0] for name in names if len(name) == 2 and name[1] == MANIFEST)

    def manifest(self, version: str) -> Manifest:
        """The manifest of a published version.

        Raises StoreError if there is no such version, ArtifactError if its manifest is damaged, is another version's,
        or lacks the signature that this store demands.
        """
        return self._parsed(version, self._manifest_bytes(version))

    def check(self, version: str) -> Manifest:
        """Read every file of a published version and compare it with the manifest. Raises as ``manifest`` does."""
        import tempfile  # as in ``_remove_if_left``

        manifest = self.manifest(version)
        with tempfile.TemporaryDirectory(prefix="slipway-") as scratch:
            for name in manifest.files:
                path = Path(scratch) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                self._download(version, Path(scratch), name)
                verify_files(Path(scratch), manifest, (name,))
                path.unlink()
        return manifest

    def signer(self, version: str) -> str | None:
        """The fingerprint of the key that signed a published version, trusted here or not; None if none did.

        Raises as ``manifest`` does, and ArtifactError if the signature is not of this manifest.
        """
        from slipway.signatures import Signature, check_signature, fingerprint

        manifest, raw = self._manifest_bytes(version), self._signature(version)
        if raw is None:
            return None
        signer = fingerprint(Signature.from_json(raw, source=f"The signature of {version}").public_key)
        check_signature(manifest, raw, [signer], source=f"{version}/{MANIFEST}")
        return signer

    def fetch(self, version: str, variant: Variant | None, into: Path, *, in_turn: bool = False) -> Path:
        """Download what serves ``variant`` (the manifest's own choice if None) to ``into/<version>``.

        It appears complete or not at all. The weights are downloaded beside the other files, or ``in_turn``: where
        requests are answered meanwhile, each thread more makes them wait (docs/model-log.md).

        The signature, if the store demands one, is checked before anything else is fetched. The files' bytes are not
        checked here: ``load_predictor`` does that, each time it opens them. Raises UnknownVersion if there is no such
        version, ArtifactError if one of its files is missing, or as ``manifest`` does.
        """
        target = into / version
        if VERSION.fullmatch(version) and (target / MANIFEST).exists():  # a longer name is more than a path may be
            return target
        manifest = self._manifest_bytes(version)
        parsed = self._parsed(version, manifest)
        try:
            into.mkdir(parents=True, exist_ok=True)
            scratch = into / f".{version}-{os.urandom(8).hex()}"
            scratch.mkdir(mode=0o700)
            try:
                *others, weights = parsed.serving_files(variant)
                if in_turn:
                    self._download(version, scratch, *others, weights)
                else:
                    with beside(partial(self._download, version, scratch, weights)):  # as long as all the others
                        self._download(version, scratch, *others)
                (scratch / MANIFEST).write_bytes(manifest)
                self._appear(scratch, target)
            finally:
                _remove_if_left(scratch)
        except OSError as error:
            raise StoreError(f"{self.model} {version} cannot be kept in {into}: {error}.") from error
        return target

    def diff(self, a: str, b: str) -> "Difference":
        """What differs between two published versions, by their manifests. Raises UnknownVersion, ArtifactError."""
        from slipway.differences import compare_manifests

        return compare_manifests(self.manifest(a), self.manifest(b))

    def _download(self, version: str, into: Path, *names: str) -> None:
        for name in names:
            try:
                self._objects.download(f"{version}/{name}", into / name)
            except NoSuchObject as error:  # not its own words: callers of the API read these, and they name the bucket
                raise ArtifactError(f"{self.model} {version} is not complete: {name} is missing.") from error

    @staticmethod
    def _appear(scratch: Path, target: Path) -> None:
        try:
            scratch.replace(target)
        except OSError:
            if not (target / MANIFEST).exists():  # else another fetch of the same version came first
                raise

    def _manifest_bytes(self, version: str) -> bytes:
        found = self._objects.read(f"{version}/{MANIFEST}") if VERSION.fullmatch(version) else None
        if found is None:
            raise UnknownVersion(
                f"The model {self.model!r} has no version {version!r} in {self._objects.url()}.",
                remedy="Publish it first; `slipway history` lists what has served.",
            )
        if self._trusted is not None:  # an empty set trusts nobody
            from slipway.signatures import check_signature

            check_signature(found[0], self._signature(version), self._trusted, source=f"{version}/{MANIFEST}")
        return found[0]

    def _signature(self, version: str) -> bytes | None:
        """The content of ``manifest.sig``, or its beginning if it is too long for one."""
        from slipway.signatures import MAX_BYTES, SIGNATURE

        found = self._objects.read(f"{version}/{SIGNATURE}", at_most=MAX_BYTES + 1)
        return found[0] if found else None

    def _parsed(self, version: str, raw: bytes) -> Manifest:
        manifest = Manifest.from_json(raw, source=f"{version}/{MANIFEST}")
        if (manifest.model, manifest.version) != (self.model, version):  # its signature does not say where it lies
            raise ArtifactError(
                f"{version}/{MANIFEST} of {self.model!r} is that of {manifest.model} {manifest.version}.",
                remedy="It was copied there: promote another version.",
            )
        return manifest

    def _sign(self, version: str, signature: bytes) -> None:
        from slipway.signatures import SIGNATURE

        name = f"{version}/{SIGNATURE}"
        if self._objects.create(name, signature):
            return
        present = self._objects.read(name)
        if present is None or not (present[0] == signature or self._objects.replace(name, signature, etag=present[1])):
            raise Conflict(f"{self._objects.url(name)} was changed by somebody else at the same time.")

    def _upload(self, name: str, path: Path, sha256: str) -> None:
        with path.open("rb") as body:
            created = self._objects.create(name, body, sha256=sha256)
        if not created and self._objects.sha256(name) != sha256:
            raise StoreError(f"{self._objects.url(name)} exists with other content; it is not overwritten.")


def open_objects(bucket: str, prefix: str, client: Any, *, serving: bool) -> "Objects | QuickObjects":
    """The objects of the bucket under ``prefix``; ``client`` and ``serving`` as in ``Versions``.

    Each brings an import that takes longer than all the rest here, so only one of them is done.
    """
    if serving and in_lambda_with_credentials(os.environ):
        from slipway.quick_objects import QuickObjects

        return QuickObjects(bucket, prefix)
    from slipway.objects import Objects

    return Objects(bucket, prefix, client)


def _read_keys(text: str) -> "TrustedKeys":
    from slipway.signatures import read_keys  # only where versions must be signed

    return read_keys(text)


def _remove_if_left(scratch: Path) -> None:
    if scratch.exists():
        import shutil  # no start needs it, and it brings two decompressors along

        shutil.rmtree(scratch, ignore_errors=True)
