"""The stand-in of AWS's Lambda base image, made from Debian's packages once and kept under ``.local/image/``."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .pip_access import pip_volumes

SUITE = "trixie"  # the Debian release whose Python is 3.13, as in production
PACKAGES = ("ca-certificates", "python3.13-minimal", "python3.13-venv")
NEEDED = ("buildah", "debootstrap")
RECIPE = Path(__file__).with_name("stand_in.Dockerfile")
# What a container never reads: apt's downloads and lists, manuals, translations, device nodes.
UNNEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "dev")


@dataclass(frozen=True)
class Buildah:
    """The ``buildah`` command with a storage of its own, so that nothing of the machine's own images is touched."""

    home: Path

    def __call__(self, *arguments: str) -> str:
        """Run one command and return what it printed; a failure raises with the end of its output."""
        command, environment = self.command(*arguments), self.environment()
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise RuntimeError(f"buildah {arguments[0]} failed:\n{(done.stdout + done.stderr)[-4_000:]}")
        return done.stdout.strip()

    def command(self, *arguments: str) -> list[str]:
        """The argument list of a command."""
        storage = ("--root", f"{self.home}/storage", "--runroot", f"{self.home}/run", "--storage-driver", "vfs")
        return ["buildah", *storage, *arguments]

    def environment(self) -> dict[str, str]:
        """Without a container engine's privileges a build is isolated by chroot alone."""
        return {**os.environ, "BUILDAH_ISOLATION": "chroot"}

    def build(self, tag: str, *arguments: str, context: Path) -> None:
        """``buildah bud``, reaching PyPI as this machine does.

        Without cached layers: with vfs each is a copy of the whole image, which costs more than the build.
        """
        self("bud", "--layers=false", "--tag", tag, *pip_volumes(self.home), *arguments, str(context))

    def has(self, tag: str) -> bool:
        """Whether an image of that tag is in the storage."""
        return bool(self("images", "--quiet", "--filter", f"reference={tag}"))


def missing_tools() -> str:
    """What the machine lacks for building an image and the command that installs it; empty if nothing."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    remedy = f"apt-get install --no-install-recommends {' '.join(NEEDED)}"
    return f"{' and '.join(missing)} not found; run: {remedy}" if missing else ""


def base_image(buildah: Buildah, pyproject: Path) -> str:
    """The tag of the stand-in base, built unless this very recipe was built before."""
    client = _pinned(pyproject, "awslambdaric")
    recipe = hashlib.sha256("\n".join((SUITE, *PACKAGES, client, RECIPE.read_text())).encode()).hexdigest()
    tag = f"localhost/lambda-python-stand-in:{recipe[:12]}"
    if not buildah.has(tag):
        arguments = ("--file", str(RECIPE), "--build-arg", f"AWSLAMBDARIC={client}")
        buildah.build(tag, *arguments, context=_debian_root(buildah.home))
    return tag


def _debian_root(home: Path) -> Path:
    """A minimal Debian with Python 3.13. Renamed into place when whole: a build cut short is begun again."""
    root = home / f"root-{SUITE}"
    if not root.exists():
        for left_over in home.glob("partial-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=home)) / "root"
        _debootstrap(partial)
        partial.rename(root)
        partial.parent.rmdir()
    return root


def _debootstrap(target: Path) -> None:
    # In a mount namespace of its own: killed halfway, it would leave /proc and /sys mounted in the directory.
    include = f"--include={','.join(PACKAGES)}"
    _run("unshare", "--mount", "debootstrap", "--variant=minbase", include, SUITE, str(target), debian_mirror())
    for path in UNNEEDED:
        shutil.rmtree(target / path)
        (target / path).mkdir()


def debian_mirror() -> str:
    """The address that this machine's own apt takes Debian from."""
    targets = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Label: Debian").split()
    if not targets:
        raise RuntimeError("apt knows no Debian mirror for the stand-in base image; run: apt-get update")
    return targets[0]


def _pinned(pyproject: Path, package: str) -> str:
    """The version that the ``dev`` extra pins."""
    extras: dict[str, list[str]] = tomllib.loads(pyproject.read_text())["project"]["optional-dependencies"]
    return next(entry.split("==")[1] for entry in extras["dev"] if entry.startswith(f"{package}=="))


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-4_000:]}")
    return done.stdout
