"""The arm64 processor that qemu plays, and the root of files that it sees: what is in it, how Python runs in it.

``emulated_root.py`` makes the root.
"""

import hashlib
import os
from importlib.metadata import version
from pathlib import Path

import model_build
import slipway

EMULATOR = "qemu-aarch64"
CPU = "neoverse-n1"  # that of Graviton2, the least arm64 that Lambda gives: dot products, no SVE, no i8mm
SUITE = "bookworm"
PYTHON = "3.11"  # the Python of SUITE
PACKAGES = (f"python{PYTHON}", "libstdc++6")
WHEELS = ("numpy", "onnxruntime", "tokenizers")  # the runtime's, in the versions that are installed here
KEPT = ("lib", "usr/lib", f"usr/bin/python{PYTHON}")  # of what the packages hold

# A file of the root hides the host's of the same path. onnxruntime reads here what the CPU can do, and crashes on the
# description of an x86 one, which qemu 7 hands through.
CPU_FILES = {
    "proc/cpuinfo": (
        "processor\t: 0\n"
        "BogoMIPS\t: 243.75\n"
        "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
        "asimddp\n"
        "CPU implementer\t: 0x41\n"
        "CPU architecture: 8\n"
        "CPU variant\t: 0x3\n"
        "CPU part\t: 0xd0c\n"
        "CPU revision\t: 1\n\n"
    ),
    "sys/devices/system/cpu/possible": "0\n",
    "sys/devices/system/cpu/present": "0\n",
}


def root_directory() -> Path:
    """Where the root belongs, whether it is there or not: in the user's cache, named after what it is made of."""
    parts = [SUITE, *PACKAGES, *requirements(), *KEPT, *CPU_FILES.values()]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "slipway" / f"arm64-{digest[:12]}"


def requirements() -> list[str]:
    """What pip installs into the root."""
    return [f"{name}=={version(name)}" for name in WHEELS]


def guest_command(root: Path) -> list[str]:
    """Python of the root under the emulator; arguments of Python follow."""
    return [EMULATOR, "-cpu", CPU, "-L", str(root), str(root / f"usr/bin/python{PYTHON}")]


def guest_environment(root: Path) -> dict[str, str]:
    """All that the guest is told. The wheels of the root come first: beside our own code the host's may lie."""
    sources = dict.fromkeys(str(Path(str(package.__file__)).parents[1]) for package in (model_build, slipway))
    search = os.pathsep.join([str(root / "site"), *sources])
    path = os.environ.get("PATH", os.defpath)  # the emulator is looked for on it
    return {"PATH": path, "PYTHONPATH": search, "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
