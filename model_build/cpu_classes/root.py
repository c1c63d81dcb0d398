"""Debian for arm64, as far as Python needs it, with onnxruntime's own arm64 wheel: what qemu runs the arm64 gate in.

debootstrap fetches and verifies the packages of Debian. They are unpacked and never configured, booted or entered, so
neither binfmt nor the right to chroot is needed. A root is made beside where it belongs, proven by a run, and renamed:
nobody ever sees half of one. ``python -m model_build.cpu_classes.root [MIRROR]`` makes it.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from model_build.cpu_classes.arm64 import (
    CPU_FILES,
    EMULATOR,
    KEPT,
    PACKAGES,
    PYTHON,
    SUITE,
    WHEELS,
    guest_command,
    guest_environment,
    requirements,
    root_directory,
)
from slipway.errors import BuildError

_GLIBC = 36  # SUITE has 2.36, which runs wheels built for any older one


def make_root(mirror: str = "") -> Path:
    """The root, made unless it is there: about a minute, 85 MB fetched, 230 MB kept.

    ``mirror`` is an address of Debian's archive; without one, that of this machine's own apt is taken.
    Raises BuildError if a tool is missing or a step fails.
    """
    root = root_directory()
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        lock = (root.parent / "arm64.lock").open("w")
    except OSError as error:
        raise BuildError(f"{root.parent} cannot be written: {error.strerror}.", remedy="Set XDG_CACHE_HOME.") from error
    with lock:  # of two who make it at once, one waits and finds it made
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            for left_over in root.parent.glob("partial-*"):
                shutil.rmtree(left_over, ignore_errors=True)
            _make(root, mirror)
    return root


def _make(root: Path, mirror: str) -> None:
    _require_tools()
    with tempfile.TemporaryDirectory(prefix="partial-", dir=root.parent) as scratch:
        draft = Path(scratch) / "root"
        _unpack_debian(_fetch_debian(Path(scratch) / "fetched", mirror or _apt_mirror()), draft)
        _install_wheels(draft / "site")
        for name, content in CPU_FILES.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_text(content)
        _prove(draft)
        draft.rename(root)


def _require_tools() -> None:
    needed = {"apt-get": "apt", "dpkg-deb": "dpkg", "debootstrap": "debootstrap", EMULATOR: "qemu-user"}
    if os.geteuid():
        needed["fakeroot"] = "fakeroot"
    if missing := [name for name in needed if not shutil.which(name, path=_search_path())]:
        packages = " ".join(needed[name] for name in missing)
        raise BuildError(
            f"The arm64 root cannot be made without {' and '.join(missing)}.",
            remedy=f"Install them (Debian: apt-get install {packages}).",
        )


def _search_path() -> str:
    """With the directory of debootstrap, which only root has on the PATH."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])


def _apt_mirror() -> str:
    targets = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Label: Debian").split()
    if not targets:
        raise BuildError(
            "apt knows no archive of Debian to make the arm64 root from.",
            remedy="Run apt-get update, or give one: python -m model_build.cpu_classes.root MIRROR.",
        )
    return targets[0]


def _fetch_debian(target: Path, mirror: str) -> list[Path]:
    """The verified packages. debootstrap insists on being root, and to download, fakeroot's word is enough."""
    pretend = ["fakeroot"] if os.geteuid() else []
    options = ["--download-only", "--arch=arm64", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    _run(*pretend, "debootstrap", *options, SUITE, str(target), mirror)
    return sorted((target / "var/cache/apt/archives").glob("*.deb"))


def _unpack_debian(packages: Sequence[Path], root: Path) -> None:
    whole = root.with_name("whole")
    for package in packages:
        _run("dpkg-deb", "-x", str(package), str(whole))
    for part in KEPT:
        if not (whole / part).exists():
            raise BuildError(f"The packages of Debian {SUITE} have no {part} for the arm64 root.")
        (root / part).parent.mkdir(parents=True, exist_ok=True)
        (whole / part).rename(root / part)


def _install_wheels(target: Path) -> None:
    tags = [f"--platform=manylinux_2_{minor}_aarch64" for minor in range(17, _GLIBC + 1)]
    options = ["--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", f"--python-version={PYTHON}", *tags]
    pip = [sys.executable, "-m", "pip", "install", "--implementation=cp", *options]
    _run(*pip, f"--target={target}", *requirements())


def _prove(root: Path) -> None:
    """Import what the gate imports. This also leaves the bytecode that later runs start faster with."""
    script = f"import platform, {', '.join(WHEELS)}; print(platform.machine())"
    machine = _run(*guest_command(root), "-c", script, environment=guest_environment(root)).strip()
    if machine != "aarch64":
        raise BuildError(f"The new arm64 root says that it runs on {machine!r}.")


def _run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """What ``command`` prints. Raises BuildError with the last line that it wrote before it failed."""
    settings = {**(os.environ if environment is None else environment), "PATH": _search_path()}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=settings)
    if done.returncode:
        reason = ((done.stderr.strip() or done.stdout.strip()).splitlines() or ["no output"])[-1]
        name = Path(command[0]).name
        raise BuildError(f"The arm64 root could not be made: {name} ended with {done.returncode}: {reason}")
    return done.stdout


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{make_root(*sys.argv[1:2])}\n")
    except BuildError as error:
        sys.exit(f"error: {error}")
