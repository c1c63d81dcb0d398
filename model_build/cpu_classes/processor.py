"""Which instructions for int8 a CPU has, and which classes of CPU a build has therefore said nothing about.

onnxruntime multiplies int8 matrices in other ways on each of these; qemu can play AVX2 and arm64, and no AVX-512.
"""

import platform
from collections.abc import Sequence
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_SETS = {
    "avx2": "AVX2",
    "avx_vnni": "AVX-VNNI",
    "avx512bw": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "amx_int8": "AMX int8",
    "asimd": "NEON",
    "asimddp": "NEON dotprod",
    "i8mm": "NEON i8mm",
}


def native_instruction_sets(cpuinfo: Path = _CPUINFO) -> str:
    """Those that matter to int8, joined by commas: ``AVX2, AVX-512, AVX-512 VNNI``.

    The machine's name where the system tells of none.
    """
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return platform.machine()
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return ", ".join(name for flag, name in _SETS.items() if flag in flags) or platform.machine()


def unmeasured_classes(classes: Sequence[str], native: str) -> list[str]:
    """Classes of CPU that production may have, and that neither an emulator (``classes``) nor the build's CPU was.

    ``native`` is what ``native_instruction_sets`` says of the build's CPU.
    """
    here = native.split(", ")
    measured = {
        "AVX2 alone": "avx2" in classes or here == ["AVX2"],
        "AVX-512 VNNI": "AVX-512 VNNI" in here,
        "arm64": "arm64" in classes or "NEON" in here or native in {"arm64", "aarch64"},
    }
    return [name for name, done in measured.items() if not done]
