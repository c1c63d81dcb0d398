"""The model store: versions, the live pointer and its ledger. The only user of S3 for models.

models/<model>/<version>/…              immutable; complete once its manifest.json is there, which is written last
models/<model>/<version>/manifest.sig   who made it, if it was signed: see ``slipway.signatures``
models/<model>/live.json                replaced by conditional write (If-Match)
models/<model>/ledger/<time>-<version>.json   created by conditional write (If-None-Match), never changed
models/<model>/traffic.json             replaced every minute where there is a GPU: see ``slipway.pulse``
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from slipway.artifact import MANIFEST, VERSION, Manifest, Variant, read_manifest, serving_files, verify_files
from slipway.errors import ArtifactError, Conflict, NoSuchObject, StoreError, UnknownVersion
from slipway.releases import Canary, Live, Shadow, new_live, release_stack
from slipway.settings import in_lambda_with_credentials

if TYPE_CHECKING:
    from slipway.differences import Difference
    from slipway.objects import Objects
    from slipway.pulse import Pulse
    from slipway.quick_objects import QuickObjects
    from slipway.signatures import TrustedKeys

_LIVE, _TRAFFIC = "live.json", "traffic.json"
_Candidate = TypeVar("_Candidate", Canary, Shadow)


class Store:
    """The versions and the live pointer of one model in one bucket. Every method raises StoreError where S3 refuses."""

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
                try:
                    self._objects.download(f"{version}/{name}", path)
                except NoSuchObject as error:
                    raise ArtifactError(f"{self.model} {version} is not complete: {error.detail}") from error
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

    def fetch(self, version: str, variant: Variant | None, into: Path) -> Path:
        """Download what serves ``variant`` (the manifest's own choice if None) to ``into/<version>``.

        It appears complete or not at all.

        The signature, if the store demands one, is checked before anything else is fetched. The files' bytes are not
        checked here: ``load_predictor`` does that, each time it opens them. Raises UnknownVersion if there is no such
        version, ArtifactError if one of its files is missing, or as ``manifest`` does.
        """
        target = into / version
        if VERSION.fullmatch(version) and (target / MANIFEST).exists():  # a longer name is more than a path may be
            return target
        manifest = self._manifest_bytes(version)
        parsed = self._parsed(version, manifest)
        variant = variant or parsed.serve
        try:
            into.mkdir(parents=True, exist_ok=True)
            scratch = into / f".{version}-{os.urandom(8).hex()}"
            scratch.mkdir(mode=0o700)
            try:
                for name in serving_files(variant):
                    self._objects.download(f"{version}/{name}", scratch / name)
                (scratch / MANIFEST).write_bytes(manifest)
                self._appear(scratch, target)
            finally:
                _remove_if_left(scratch)
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
        """Make a published version live. Of two promotions at once both are recorded, and the later one serves.

        A canary ends with it, whichever version it was of: it was weighed against a version that serves no more. A
        shadow goes on beside the new live version, unless it was of this one.
        """

        def change(present: Live | None) -> Live:
            self._manifest_bytes(version)
            shadow = _unless(version, present.shadow if present else None)
            return new_live(version, "promote", by=by, why=why, after=present, shadow=shadow)

        return self._switch(change, attempts=5)

    def canary(self, version: str, weight: float, *, by: str, why: str) -> Live:
        """Let a published version answer ``weight`` of the requests, above 0 and below 1; the live version stays.

        Again with another weight, it changes that. A shadow of the same version ends: a version has one role.

        Raises Conflict if somebody changed the pointer meanwhile: what it was to be weighed against may have changed.
        """
        candidate = _candidate(Canary, version, weight)

        def change(present: Live | None) -> Live:
            live = self._beside(version, present)
            shadow = _unless(version, live.shadow)
            return new_live(live.version, "canary", by=by, why=why, after=live, canary=candidate, shadow=shadow)

        return self._switch(change, attempts=1)

    def shadow(self, version: str, share: float, *, by: str, why: str) -> Live:
        """Let a published version score ``share`` of the requests unseen, above 0 and at most 1; the live one stays.

        A canary of the same version ends: that is the step back. Raises Conflict as ``canary`` does.
        """
        candidate = _candidate(Shadow, version, share)

        def change(present: Live | None) -> Live:
            live = self._beside(version, present)
            canary = _unless(version, live.canary)
            return new_live(live.version, "shadow", by=by, why=why, after=live, canary=canary, shadow=candidate)

        return self._switch(change, attempts=1)

    def rollback(self, *, by: str, why: str, to: str | None = None) -> Live:
        """Withdraw the candidates; if there are none, make the previous version live again. ``to`` makes that one live.

        No candidate outlives it: whoever rolls back wants what is known to be good and nothing else.

        Raises Conflict if somebody changed the pointer meanwhile: what "previous" means has changed with it.
        """

        def change(present: Live | None) -> Live:
            if present and present.candidates() and to is None:
                return new_live(present.version, "withdraw", by=by, why=why, after=present)
            version = to or self._previous()
            self._manifest_bytes(version)
            return new_live(version, "rollback", by=by, why=why, after=present)

        return self._switch(change, attempts=1)

    def diff(self, a: str, b: str) -> "Difference":
        """What differs between two published versions, by their manifests. Raises UnknownVersion, ArtifactError."""
        from slipway.differences import compare_manifests

        return compare_manifests(self.manifest(a), self.manifest(b))

    def pulse(self) -> "Pulse | None":
        """What was last written of the model's traffic, or None."""
        from slipway.pulse import Pulse  # only a function with a GPU beside it asks

        found = self._objects.read(_TRAFFIC)
        return Pulse.from_json(found[0]) if found else None

    def write_pulse(self, pulse: "Pulse") -> None:
        """Replace it."""
        self._objects.write(_TRAFFIC, [pulse.to_json()])

    def replace(self, expected: Live, live: Live) -> Live:
        """Point to ``live`` where ``expected`` still holds: for who decided about that pointer and no other.

        Raises Conflict if somebody changed it meanwhile.
        """

        def change(present: Live | None) -> Live:
            if present != expected:
                raise self._conflict()
            return live

        return self._switch(change, attempts=1)

    def _switch(self, change: Callable[[Live | None], Live], *, attempts: int) -> Live:
        for _ in range(attempts):
            present, etag = self._live()
            live = change(present)
            if present:  # an entry that a process killed between its two writes still owes
                self._record(present)
            if self._point(live, etag) or self.live() == live:  # written, though the answer to it was lost
                self._record(live)
                return live
        raise self._conflict()

    def _conflict(self) -> Conflict:
        return Conflict(
            f"The live version of {self.model!r} was changed by somebody else at the same time.",
            remedy="Look at `slipway history`, then decide again.",
        )

    def _beside(self, candidate: str, present: Live | None) -> Live:
        """The pointer that a candidate is put beside."""
        self._manifest_bytes(candidate)
        if present is None:
            raise StoreError(
                f"No version of {self.model!r} is live: there is nothing to try {candidate} beside.",
                remedy="Promote it without --canary or --shadow.",
            )
        if candidate == present.version:
            raise StoreError(
                f"{candidate} is the live version of {self.model!r}: it cannot be tried beside itself.",
                remedy="Name another version; `slipway history` shows what is live.",
            )
        return present

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
    """The objects of the bucket under ``prefix``; ``client`` and ``serving`` as in ``Store``.

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


def _candidate(role: type[_Candidate], version: str, part: float) -> _Candidate:
    try:
        return role(version, part)
    except ValueError as error:
        raise StoreError(
            f"{version} cannot be tried: {error}.", remedy="0.1 stands for 10 % of the requests."
        ) from error


def _unless(version: str, candidate: _Candidate | None) -> _Candidate | None:
    """The candidate, unless it is ``version``, which is about to have another role."""
    return None if candidate is None or candidate.version == version else candidate
